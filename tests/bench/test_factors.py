"""Who queries what; bases that are smaller or must not help; controls without any: real runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.records.run import ControlResult, Record, RetrievalResult, TrainingResult
from bench.records.store import Store
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.retrieval import calibration
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.mixing import probabilities
from tests.bench import runs

METHODS = ("finetune", "kd", "reaugkd")
SPLITS = ("held_out", "dev")
REFERENCE = "exact projected soft"
FLAGS = (
    "--retrieval", "all",
    "--ann", "exact",
    "--set", "retrieval.share=[1, 0.5, 0.1]",
    "--set", 'retrieval.values=["soft", "cross-fitted"]',
    "--set", 'retrieval.control=["none", "shuffled-labels", "random-keys"]',
    "--set", "retrieval.design=one-at-a-time",
    "--set", "retrieval.folds=2",
    "--set", "retrieval.controls=true",
)  # fmt: skip
CELLS = (
    REFERENCE,
    f"{REFERENCE} 0.5",
    f"{REFERENCE} 0.1",
    "exact projected cross-fitted",
    f"{REFERENCE} shuffled-labels",
    f"{REFERENCE} random-keys",
    "controls",
)


@pytest.fixture(scope="module")
def built() -> Iterator[list[str]]:
    """Kinds of the artefacts that the run of this module builds."""
    kinds: list[str] = []
    original = ArtifactStore._build

    def noted(store: ArtifactStore, folder: Path, *rest: object) -> object:
        kinds.append(folder.parent.name)
        return original(store, folder, *rest)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ArtifactStore, "_build", noted)
        yield kinds


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, built: list[str]) -> Path:
    made = tmp_path_factory.mktemp("factors")
    done = runs.run(made, *FLAGS)
    assert done.exit_code == 0, done.output
    return made


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Record]:
    return runs.records(folder / "out")


def retrieval(record: Record) -> RetrievalResult:
    assert record.retrieval is not None, record.reason
    return record.retrieval


def controls(record: Record) -> ControlResult:
    assert record.controls is not None, record.reason
    return record.controls


def training(record: Record) -> TrainingResult:
    assert record.training is not None, record.reason
    return record.training


def bases(folder: Path) -> list[KnowledgeBase]:
    kept = (folder / "cache" / "knowledge-base").glob("*/manifest.json")
    return [KnowledgeBase.load(path.parent) for path in kept]


def base(folder: Path, **wanted: object) -> KnowledgeBase:
    """The one knowledge base with this share, control and these values."""
    wanted = {"share": None, "control": None, "values": "soft"} | wanted
    [fit] = [b for b in bases(folder) if all(b.manifest.get(n) == v for n, v in wanted.items())]
    return fit


def test_every_students_cells_are_there(found: dict[str, Record]) -> None:
    expected = {f"{method} {cell}" for method in METHODS for cell in CELLS} | set(METHODS)
    assert set(found) == expected
    assert {record.status for record in found.values()} == {"ok"}


def test_all_students_query_one_and_the_same_base(
    folder: Path, built: list[str], found: dict[str, Record]
) -> None:
    """The keys that kd queries without having been drawn to them are reaugkd's, not its twins."""
    assert built.count("projection") == 1
    assert built.count("knowledge-base") == len(CELLS) - 1 == len(bases(folder))
    assert built.count("cross-fit") == 1
    assert built.count("cross-fit-fold") == 2
    assert built.count("student") == len(METHODS)


def test_a_plain_run_before_or_after_finds_the_same_base(
    folder: Path, built: list[str], found: dict[str, Record], tmp_path: Path
) -> None:
    """Share 1 and no control are the plain knowledge base, bit for bit: the very artefact."""
    before = len(built)
    done = runs.run(folder, "--out", tmp_path, "--ann", "exact", "--methods", "reaugkd")
    assert done.exit_code == 0
    assert built[before:] == []
    name = f"reaugkd {REFERENCE}"
    assert runs.records(tmp_path)[name].key == found[name].key
    assert runs.results(tmp_path)[name] == runs.results(folder / "out")[name]


def test_smaller_bases_are_nested_parts(folder: Path, found: dict[str, Record]) -> None:
    whole, half, tenth = base(folder), base(folder, share=0.5), base(folder, share=0.1)
    assert [len(one) for one in (whole, half, tenth)] == [600, 300, 60]
    assert set(tenth.ids) < set(half.ids) < set(whole.ids)
    rows = np.searchsorted(whole.ids, half.ids)
    assert np.array_equal(whole.ids[rows], half.ids)
    assert np.array_equal(whole.keys[rows], half.keys)
    assert np.array_equal(whole.values[rows], half.values)
    assert retrieval(found[f"kd {REFERENCE} 0.1"]).entries == 60


def test_bases_that_must_not_help_and_honest_ones_differ_in_one_thing(
    folder: Path, found: dict[str, Record]
) -> None:
    whole, mixed = base(folder), base(folder, control="shuffled-labels")
    assert np.array_equal(mixed.keys, whole.keys)
    assert not np.array_equal(mixed.values, whole.values)
    assert np.array_equal(np.sort(mixed.values, axis=0), np.sort(whole.values, axis=0))
    lost = base(folder, control="random-keys")
    assert np.array_equal(lost.values, whole.values)
    assert abs((lost.keys * whole.keys).sum(axis=1).mean()) < 0.05
    assert np.allclose(np.linalg.norm(lost.keys, axis=1), 1, atol=1e-5)
    honest = base(folder, values="cross-fitted")
    assert np.array_equal(honest.keys, whole.keys)
    assert not np.isclose(honest.values, whole.values).all(axis=1).any()


def test_losses_are_those_of_the_kept_outputs(folder: Path, found: dict[str, Record]) -> None:
    store = Store(folder / "out")
    for method in METHODS:
        student = store.arrays(found[method].key)
        for split in SPLITS:
            labels = student[f"labels.{split}"]
            off = calibration.loss(probabilities(student[f"logits.{split}"]), labels)
            for cell in CELLS[:-1]:
                record = found[f"{method} {cell}"]
                outputs = store.arrays(record.key)[f"outputs.{split}"]
                assert retrieval(record).off_loss[split] == off
                assert retrieval(record).chosen.loss[split] == calibration.loss(outputs, labels)
            assert controls(found[f"{method} controls"]).off.loss[split] == off


def test_a_temperature_changes_no_class_and_is_no_worse_where_it_was_fitted(
    folder: Path, found: dict[str, Record]
) -> None:
    for method in METHODS:
        record = found[f"{method} controls"]
        result, student = controls(record), training(found[method])
        assert result.temperature is not None
        assert result.temperature_reason is None
        assert result.off.scores == result.temperature.answers.scores == student.scores
        scaled, off = result.temperature.answers.loss, result.off.loss
        assert scaled["held_out"]["nll"] <= off["held_out"]["nll"] + 1e-7
        outputs = Store(folder / "out").arrays(record.key)["temperature.dev"]
        assert np.allclose(outputs.sum(axis=1), 1, atol=1e-5)


def test_the_second_head_is_chosen_on_held_out_rows_alone(
    folder: Path, found: dict[str, Record]
) -> None:
    for method in METHODS:
        record = found[f"{method} controls"]
        head, off = controls(record).second_head, controls(record).off
        assert (head.selected_on, head.converged) == ("held_out", True)
        assert head.beta in head.betas
        assert head.strength in head.strengths
        for other in (off, head.alone):  # betas 0 and 1
            assert head.mixed.scores["held_out"]["accuracy"] >= other.scores["held_out"]["accuracy"]
        arrays, student = (Store(folder / "out").arrays(one.key) for one in (record, found[method]))
        own = probabilities(student["logits.dev"])
        expected = (1 - head.beta) * own + head.beta * arrays["second_head.dev"]
        assert np.allclose(arrays["mixed.dev"], expected, atol=1e-6)
        right = (arrays["mixed.dev"].argmax(axis=1) == student["labels.dev"]).mean()
        assert head.mixed.scores["dev"]["accuracy"] == pytest.approx(right)


def test_without_weight_a_second_head_changes_nothing(folder: Path, tmp_path: Path) -> None:
    flags = (*FLAGS, "--methods", "kd", "--beta", "0", "--set", "retrieval.share=[1]")
    done = runs.run(folder, "--out", tmp_path, *flags)
    assert done.exit_code == 0, done.output
    made = runs.records(tmp_path)
    result = controls(made["kd controls"])
    assert result.second_head.beta == 0
    assert result.second_head.mixed == result.off
    mixed = Store(tmp_path).arrays(made["kd controls"].key)["mixed.dev"]
    logits = Store(tmp_path).arrays(made["kd"].key)["logits.dev"]
    assert np.array_equal(mixed, probabilities(logits))


def test_the_report_tells_other_bases_from_the_plain_one(
    folder: Path, found: dict[str, Record]
) -> None:
    report = runs.bench("report", folder / "out")
    assert report.exit_code == 0, report.output
    for words in ("| 10 %", "shuffled labels", "random keys", "cross-fitted labels"):
        assert words in report.output
    rows = pd.read_csv(folder / "out" / "results.csv", keep_default_na=False)
    names = ["method", "backend", "keys", "values", "share", "control", "retrieval"]
    assert not rows.duplicated([*names, "split", "metric"]).any()


def test_one_of_them_is_exported_but_none_that_must_not_help(folder: Path, tmp_path: Path) -> None:
    flags = ("--cache", folder / "cache", "--method", "kd", "--values", "soft", "--to")
    ambiguous = runs.bench("export", folder / "out", *flags, tmp_path / "no")
    assert ambiguous.exit_code == 2
    assert "shuffled" not in ambiguous.output
    done = runs.bench("export", folder / "out", *flags, tmp_path / "yes", "--share", 0.1)
    assert done.exit_code == 0, done.output
    from reaugkd import RetrievalAugmentedClassifier

    classifier = RetrievalAugmentedClassifier.from_pretrained(tmp_path / "yes")
    assert len(classifier.knowledge_base) == 60


@pytest.mark.slow
def test_a_regression_has_no_temperature_and_says_so(tmp_path: Path) -> None:
    done = runs.run(tmp_path, *FLAGS, "--tasks", "alike", "--methods", "kd")
    assert done.exit_code == 0, done.output
    found = runs.records(tmp_path / "out")
    result = controls(found["kd controls"])
    assert result.temperature is None
    assert "regression" in str(result.temperature_reason)
    assert set(result.second_head.mixed.loss["dev"]) == {"mse"}
    assert set(retrieval(found[f"kd {REFERENCE}"]).chosen.loss["dev"]) == {"mse"}
    assert runs.bench("report", tmp_path / "out").exit_code == 0
