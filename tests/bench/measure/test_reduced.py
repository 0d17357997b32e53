"""Generated bases made smaller: what is done to them, what is refused, what decides their cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.measure import bases, reduced
from bench.measure.bases import BaseSource
from bench.measure.indexes import Indexes, Mixture, Target, besides
from bench.measure.limits import GENERAL, limit
from bench.measure.options import Options
from bench.measure.plan import plan
from bench.records.measurement import LatencyCell, Reduction
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import UserError
from reaugkd.retrieval.condense.random import Random
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from tests.bench.measure import judged

SIZE, DIM = 400, 32
HALF = Reduction(condense="random:40", rows=SIZE, pca=8, value_bits=8)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    return ArtifactStore(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def source(store: ArtifactStore) -> BaseSource:
    return bases.generated(store, str(SIZE), DIM)


def asked(**changes: Any) -> Options:
    values = {"bases": ("400",), "ann": ("exact",), "k": (3,), "student": "bert-1l-32"}
    return Options.of(**(values | {"threads": (1,), "build_threads": 1} | changes))


def test_nothing_asked_is_the_base_itself(store: ArtifactStore, source: BaseSource) -> None:
    nothing = reduced.reduction("full", None, 32, SIZE)
    assert nothing is None
    assert reduced.reduced(store, source, nothing) is source


def test_keys_are_shortened_then_condensed_then_values_quantised(
    store: ArtifactStore, source: BaseSource
) -> None:
    small = reduced.reduced(store, source, HALF)
    base, full = KnowledgeBase.load(small.folder), KnowledgeBase.load(source.folder)
    assert (small.name, small.size, small.dim, small.width) == (source.name, 40, DIM, 8)
    assert base.keys.shape == (40, 8)
    assert base.values.dtype == np.uint8
    np.testing.assert_array_equal(small.queries, source.queries)
    expected = full.compressed(8)
    np.testing.assert_array_equal(base.keys, expected.keys[base.ids])
    np.testing.assert_array_equal(base.basis, expected.basis)
    np.testing.assert_array_equal(base.values, full.quantised().values[base.ids])


def test_a_reduced_base_is_made_once(store: ArtifactStore, source: BaseSource) -> None:
    first = reduced.reduced(store, source, HALF).folder
    marker = first.stat().st_mtime_ns
    assert reduced.reduced(store, source, HALF).folder == first
    assert first.stat().st_mtime_ns == marker


def test_exact_search_over_a_reduced_base_finds_its_neighbours(
    store: ArtifactStore, source: BaseSource
) -> None:
    indexes = Indexes(store, reduced.reduced(store, source, HALF), 1)
    facts = indexes.tuned("exact", Mixture(3, 0.1, 0.5), Target.parse("recall:0.99"), 1)
    assert (facts.target_met, facts.recall, facts.agreement) == (True, 1.0, 1.0)
    bytes_ = 40 * (1 * 2 + 8) + 4 * DIM * 8  # values of a byte, ids, basis
    assert besides(indexes.base) == bytes_
    assert indexes.built("exact").on_disk(indexes.base) == 40 * 8 * 4 + bytes_


def test_every_reduction_is_a_cell_of_its_own_and_none_is_as_before(store: ArtifactStore) -> None:
    axes: dict[str, Any] = {
        "condense": ("full", "random:40", "random:40@1"),
        "pca": ("none", 8),
        "value_bits": (32, 8),
    }
    plans = plan(asked(**axes), store)
    assert len({one.key for one in plans}) == 12
    first = plans[0]
    assert (first.cell.reduction, first.cell.size) == (None, SIZE)
    assert first.key == plan(asked(), store)[0].key
    assert {one.cell.size for one in plans} == {SIZE, 40}
    assert plans[-1].label == (
        "400 (40 of 400) random:40@1, pca 8, 8-bit values exact k 3 batch 1 fp32"
    )
    assert len({one.key for one in plan(asked(**axes), store, "memory")}) == 12


def test_a_cell_without_a_reduction_is_written_as_before() -> None:
    assert "reduction" not in judged.cell().model_dump(mode="json")
    assert "skipping" not in judged.result(0.01, 0.02).model_dump(mode="json")
    cell = judged.cell(reduction=HALF)
    assert LatencyCell.model_validate_json(cell.model_dump_json()) == cell
    assert "condense" not in asked().model_dump(mode="json")  # it names the default folder


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"condense": ("randm:5",)}, "did you mean 'random'"),
        ({"condense": ("random",)}, "needs a number of entries: random:256"),
        ({"condense": ("random:401",)}, "--condense random:401: base 400 has 400 entries"),
        ({"condense": ("random:2",)}, "--k 3 is larger than the knowledge base 400 random:2 (2 "),
        ({"value_bits": (7,)}, "--value-bits 7: Input should be 32 or 8"),
        ({"pca": ("x",)}, "--pca x: "),
        ({"pca": (0,)}, "--pca 0: "),
        ({"skip": "lossless"}, "--skip lossless: what is skipped is up to the student"),
        ({"skip": "risk:1%"}, "--skip risk:0.01: what is skipped is up to the student"),
        ({"skip": "losless"}, "did you mean 'lossless'"),
    ],
)
def test_what_cannot_be_is_one_clear_line(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as error:
        asked(**changes)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("place", ["run", "classifier"])
@pytest.mark.parametrize(
    ("flag", "changes"),
    [
        ("--condense", {"condense": ("random:5",)}),
        ("--pca", {"pca": (8,)}),
        ("--value-bits", {"value_bits": (8,)}),
    ],
)
def test_a_run_or_classifier_brings_its_own(
    place: str, flag: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=f"{flag} does not go with --{place}"):
        asked(bases=(), k=(), student="bert-6l-768", task="mrpc", **{place: tmp_path}, **changes)


def test_the_threshold_of_a_risk_is_a_matter_of_held_out_rows(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"bench run --skip risk:0\.01"):
        asked(bases=(), k=(), student="bert-6l-768", run=tmp_path, skip="risk:0.01")


def test_keys_cannot_become_wider(store: ArtifactStore) -> None:
    with pytest.raises(UserError, match="--pca 33: keys of base 400 are 32 wide"):
        plan(asked(pca=(33,)), store)


def test_a_condenser_that_asks_a_student_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Random, "asks", True)
    with pytest.raises(UserError, match="--condense random:5: needs a student's answers"):
        asked(condense=("random:5",))


def test_a_condenser_that_sizes_itself_has_to_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Random, "sized", None)
    with pytest.raises(UserError, match=r"give its number of entries, e\.g\. random:256"):
        asked(condense=("random",))


CONDENSED = Reduction(condense="random:256", rows=8_551)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, GENERAL),
        ({"backend": "exact"}, GENERAL),
        ({"backend": "exact", "reduction": Reduction(pca=64)}, GENERAL),
        ({"reduction": CONDENSED}, GENERAL),  # behind a graph
        ({"backend": "exact", "reduction": CONDENSED}, 0.005),
        ({"backend": "exact", "reduction": CONDENSED, "precision": "bf16"}, 0.01),
        ({"backend": "exact", "reduction": CONDENSED, "batch": 32}, 0.01),
        ({"backend": "exact", "reduction": CONDENSED, "batch": 32, "precision": "bf16"}, GENERAL),
    ],
)
def test_exact_search_over_a_condensed_base_is_held_to_less(
    changes: dict[str, Any], expected: float
) -> None:
    assert limit(judged.cell(**changes)) == expected
    assert limit(judged.cell(**changes), 0.02) == 0.02
