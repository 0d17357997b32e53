"""The backend ``auto`` and its explanation; the shared case runs in ``test_ann.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reaugkd.errors import MissingLibraryError, UserError
from reaugkd.registry import Entry
from reaugkd.retrieval import ann
from reaugkd.retrieval.ann.auto import calibrate
from reaugkd.retrieval.ann.auto.backend import Auto, explain, resolve
from reaugkd.retrieval.ann.auto.calibrate import CANDIDATES
from reaugkd.retrieval.ann.auto.search_times import Candidate
from tests.calibrations import TIMES, calibration, candidate, graph
from tests.reaugkd.retrieval.cases import DIM, K, N, queries, vectors


def choose(size: int, dim: int = DIM, **given: Any) -> str:
    return explain(size, dim, **given).spec


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("nothing may be calibrated here")

    monkeypatch.setattr(calibrate, "obtain", refuse)
    monkeypatch.setattr(calibrate, "measure", refuse)


def hide(monkeypatch: pytest.MonkeyPatch, *libraries: str) -> None:
    """Make ``libraries`` look as if they were not installed."""
    real = Entry.installed.fget
    assert real is not None
    monkeypatch.setattr(
        Entry, "installed", property(lambda e: e.library not in libraries and real(e))
    )


# --- the choice --------------------------------------------------------------------------------


def test_the_same_calibration_gives_the_same_choice_and_measures_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = calibration()
    forbid(monkeypatch)
    for size in (10, 500, 10**6):
        assert len({choose(size, DIM, calibration=given) for _ in range(3)}) == 1
    assert choose(10, DIM, calibration=given) == "exact"
    assert choose(10**6, DIM, calibration=given) == "hnswlib"


def test_the_choice_changes_at_the_crossover_of_the_explanation() -> None:
    for batch in (1, 5, 32, 100):
        end = explain(1, DIM, batch=batch, calibration=calibration()).crossover
        assert end is not None
        assert choose(end, DIM, batch=batch, calibration=calibration()) == "exact"
        assert choose(end + 1, DIM, batch=batch, calibration=calibration()) == "hnswlib"


@pytest.mark.parametrize("size", [10, 500, 400_000])
def test_the_numbers_of_an_explanation_are_the_models(size: int) -> None:
    found = explain(size, DIM, batch=7, calibration=calibration())
    assert found.predicted == {spec: cost(size) for spec, cost in found.models.items()}
    assert list(found.predicted.values()) == sorted(found.predicted.values())
    text = "\n".join(found.lines())
    assert found.lines()[0] == f"auto -> {found.spec}: {found.why}"
    for spec, cost in found.models.items():
        assert f"{found.predicted[spec]:,.1f} = {cost}" in text
    if found.spec != "exact":
        assert found.predicted[found.spec] == min(found.predicted.values())
    assert f"{found.crossover:,} entries" in found.why


def test_a_missing_library_is_never_chosen_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    given = calibration(times={**TIMES, "faiss": lambda n, b: 2 * graph(n, b)})
    assert choose(10**6, DIM, calibration=given) == "hnswlib"
    hide(monkeypatch, "hnswlib")
    found = explain(10**6, DIM, calibration=given)
    assert found.spec == "faiss"
    assert "hnswlib" not in found.predicted
    assert "pip install 'reaugkd[hnswlib]' brings it" in "\n".join(found.lines())


def test_with_exact_alone_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    given = calibration()
    hide(monkeypatch, *(ann.BACKENDS.entry(name).library or "" for name in CANDIDATES))
    found = explain(10**7, DIM, calibration=given)
    assert found.spec == "exact"
    assert found.crossover is None
    assert "no graph backend can be used here" in found.why
    assert set(found.left_out) == set(CANDIDATES) - {"exact"}


def test_a_candidate_that_failed_is_named_with_its_reason() -> None:
    short = candidate("faiss", lambda n, b: 0.001, recall=0.9)
    broken = Candidate(spec="annoy", failure="exit code -4: Illegal instruction")
    found = explain(10**6, DIM, calibration=calibration(more=(short, broken)))
    assert found.spec == "hnswlib"
    text = "\n".join(found.lines())
    assert "faiss      not considered: reaches a recall of 0.900, not 0.99" in text
    assert "annoy      not considered: exit code -4: Illegal instruction" in text


def test_resolving_leaves_other_specs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve("auto", 150, DIM) == "hnswlib"
    assert resolve("auto", 150, DIM, batch=32) == "exact"
    assert resolve("AUTO:32", 150, DIM) == resolve("auto:32", 150, DIM, batch=1) == "exact"
    forbid(monkeypatch)
    assert resolve("FAISS: IVF64,Flat", 150, DIM) == "faiss:IVF64,Flat"


# --- the index ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("spec", "size", "chosen"), [
    ("auto", N, "hnswlib"), ("auto", 20, "exact"), ("auto:32", 150, "exact")
])  # fmt: skip
def test_it_answers_as_what_it_chose(spec: str, size: int, chosen: str) -> None:
    index, plain = ann.make(spec), ann.make(chosen)
    for one in (index, plain):
        one.build(vectors(size))
    assert isinstance(index, Auto)
    assert index.chosen == index.inner.name == chosen
    assert (index.effort, index.efforts(K), index.nbytes) == (
        plain.effort, plain.efforts(K), plain.nbytes
    )  # fmt: skip
    for effort in (index.effort, *index.efforts(K)[-1:]):
        index.effort = plain.effort = effort
        for mine, its in zip(index.search(queries(), K), plain.search(queries(), K), strict=True):
            np.testing.assert_array_equal(mine, its)
        assert index.nearest(queries()[:1], K) == plain.nearest(queries()[:1], K)


def test_loading_never_calibrates_and_keeps_the_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = ann.make("auto:2", seed=5)
    index.build(vectors())
    index.save(tmp_path)
    expected = index.search(queries(), K)
    manifest = json.loads((tmp_path / "index.json").read_text())
    assert manifest["params"]["chosen"] == "hnswlib"
    assert manifest["params"]["settings"]["m"] == 16
    assert manifest["params"]["settings"]["seed"] == 5
    forbid(monkeypatch)
    loaded = ann.load(tmp_path, threads=2)
    assert isinstance(loaded, Auto)
    assert (loaded.chosen, loaded.batch, loaded.inner.threads) == ("hnswlib", 2, 2)
    for mine, its in zip(loaded.search(queries(), K), expected, strict=True):
        np.testing.assert_array_equal(mine, its)


def test_loading_without_the_chosen_library_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = ann.make("auto")
    index.build(vectors())
    index.save(tmp_path)
    hide(monkeypatch, "hnswlib")
    with pytest.raises(MissingLibraryError, match=r"pip install 'reaugkd\[hnswlib\]'"):
        ann.load(tmp_path)


@pytest.mark.parametrize("variant", ["0", "-3", "x", "1.5", "1,32"])
def test_a_variant_that_is_no_batch_is_refused(variant: str) -> None:
    with pytest.raises(UserError, match=f"auto:{variant}: after the colon stands the batch"):
        ann.make(f"auto:{variant}")
