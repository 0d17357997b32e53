"""Laws of what is read from beside the records: once, when asked for, and never a crash."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.records.results import load
from bench.records.store import Problem, Store
from bench.report.examples import Examples
from bench.report.scores import OFF
from tests.bench.report import factory, shown

LABELS = factory.truth()


def students(*seeds: int, task: str = "mrpc") -> list[factory.Kept]:
    return factory.contest({"kd": 0.7}, seeds, task)


def with_base(seed: int = 0, share: float = 0.8) -> factory.Kept:
    answers = factory.guesses(LABELS, share, seed)
    return factory.answered(factory.retrieval(method="kd", seed=seed), answers, LABELS)


def examples(folder: Path, found: list[factory.Kept]) -> Examples:
    return Examples(load(factory.kept(folder, found)))


def column(made: Examples, task: str, method: str, retrieval: str, split: str) -> dict[int, Any]:
    """Seed -> answers, of the seeds whose outputs can be used."""
    read = {
        seed: made.answers(answer, split)
        for seed, answer in made.columns.get((task, method, retrieval), {}).items()
    }
    return {seed: answers for seed, answers in read.items() if not isinstance(answers, Problem)}


def test_a_column_holds_what_was_answered_by_seed(tmp_path: Path) -> None:
    made = examples(tmp_path, [*students(0, 1), with_base(1)])
    assert np.array_equal(made.labels("mrpc", "dev"), LABELS)
    off = column(made, "mrpc", "kd", OFF, "dev")
    assert {seed: list(found) for seed, found in off.items()} == {
        seed: list(factory.guesses(LABELS, 0.7, seed)) for seed in (0, 1)
    }
    on = column(made, "mrpc", "kd", "hnswlib", "dev")
    assert {seed: list(found) for seed, found in on.items()} == {
        1: list(factory.guesses(LABELS, 0.8, 1))
    }
    assert made.problems == ()


def test_a_file_is_read_when_asked_for_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: Counter[str] = Counter()
    read = Store.arrays

    def counted(self: Store, key: str, *more: Any) -> Any:
        reads[key] += 1
        return read(self, key, *more)

    monkeypatch.setattr(Store, "arrays", counted)
    made = examples(tmp_path, [*students(0, 1, task="mnli"), *students(0), with_base(0)])
    assert not reads
    for _ in range(2):
        for split in ("dev_matched", "dev_mismatched"):
            column(made, "mnli", "kd", OFF, split)
    assert reads == {"t-mnli-kd-0": 1, "t-mnli-kd-1": 1}


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _garbage(path: Path) -> None:
    path.write_bytes(b"not an archive")


def _flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    at = content.index(b"logits.dev.npy") + 60
    content[at : at + 30] = bytes(30)
    path.write_bytes(content)


def _rewritten(**arrays: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with np.load(path) as archive:
            own = {name: archive[name] for name in archive.files} | arrays
        np.savez(path, **{name: value for name, value in own.items() if value is not None})

    return change


NAN = np.full((200, 2), np.nan)
DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated": (_truncated, "damaged|not a zip|BadZip|zip"),
    "garbage": (_garbage, ""),
    "flipped": (_flipped, ""),
    "empty": (lambda path: path.write_bytes(b""), ""),
    "deleted": (Path.unlink, "missing"),
    "NaN": (_rewritten(**{"logits.dev": NAN}), "400 of 400 values are NaN"),
    "short": (_rewritten(**{"logits.dev": np.eye(2)}), "2 rows, the labels 200"),
    "no outputs": (_rewritten(**{"logits.dev": None}), "no usable logits.dev"),
    "no rows": (_rewritten(**{"logits.dev": np.zeros((0, 2))}), "empty"),
    "one axis": (_rewritten(**{"logits.dev": np.zeros(200)}), "not outputs"),
    "words": (_rewritten(**{"logits.dev": np.full((200, 2), "x")}), "not outputs"),
    "objects": (_rewritten(**{"logits.dev": np.full((200, 2), None)}), ""),
    "another's": (_rewritten(**{"logits.dev": np.eye(2)[1 - LABELS]}), "score 0.0000"),
    "other rows": (_rewritten(**{"labels.dev": 1 - LABELS}), "labels.dev differ"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_cannot_be_used_is_named_and_its_seed_left_out(
    damage: str, tmp_path: Path
) -> None:
    change, said = DAMAGES[damage]
    found = factory.contest({"kd": 0.7, "reaugkd": 0.8}, (0, 1, 2))
    store = factory.kept(tmp_path, found)
    change(store.cells / "t-mrpc-kd-1.npz")
    report = shown.report(load(store))
    (file,) = report.data["unusable_files"]
    assert file["file"] == "t-mrpc-kd-1.npz"
    assert said.split("|")[0] in file["reason"] or any(p in file["reason"] for p in said.split("|"))
    (compared,) = report.data["comparisons"]
    assert (compared["seeds"], compared["left_out"]) == ([0, 2], [1])
    assert any("t-mrpc-kd-1.npz" in row for table in report.tables for row in table.rows)


def test_whoever_answered_other_rows_is_not_paired_with_a_knowledge_base_either(
    tmp_path: Path,
) -> None:
    store = factory.kept(tmp_path, [*students(0, 1, 2), *(with_base(seed) for seed in range(3))])
    _rewritten(**{"labels.dev": 1 - LABELS})(store.cells / "t-mrpc-kd-1.npz")
    made = Examples(load(store))
    assert column(made, "mrpc", "kd", "hnswlib", "dev").keys() == {0, 2}
    assert [problem.path.name for problem in made.problems] == ["t-mrpc-kd-1.npz"]


def test_labels_are_found_beside_a_student_whose_record_is_lost(tmp_path: Path) -> None:
    store = factory.kept(tmp_path, [*students(0), with_base(0)])
    (store.cells / "t-mrpc-kd-0.json").unlink()
    made = Examples(load(store))
    assert column(made, "mrpc", "kd", "hnswlib", "dev").keys() == {0}


def test_a_run_without_any_outputs_says_so_once(tmp_path: Path) -> None:
    results = factory.results(tmp_path, factory.matrix())
    made = Examples(results)
    assert not made.kept
    assert column(made, "mrpc", "kd", OFF, "dev") == {}
    assert made.problems == ()
    report = shown.report(results)
    (table,) = [table for table in report.tables if table.title == "Comparisons"]
    assert "No outputs lie beside the cells" in table.notes[0]
    assert all("no outputs" in row["verdict"] for row in report.data["comparisons"])


@pytest.mark.parametrize("others", [np.float64, np.float16])
def test_labels_of_a_regression_are_the_same_rows_whatever_their_type(
    others: type, tmp_path: Path
) -> None:
    labels = np.arange(26, dtype=np.float32)[:, None].repeat(2, axis=1).ravel() / 5
    if others is np.float16:
        labels = labels.round()  # a type that has every label
    found = [
        factory.answered(factory.training("stsb", "kd", seed), labels[::-1].copy(), labels)
        for seed in (0, 1)
    ]
    found[1][1]["labels.dev"] = labels.astype(others)
    made = examples(tmp_path, found)
    assert column(made, "stsb", "kd", OFF, "dev").keys() == {0, 1}
    assert made.problems == ()


@pytest.mark.parametrize("odd", [LABELS - 1, LABELS + 0.5, -LABELS.astype(np.float32) - 1])
def test_labels_that_are_no_classes_are_refused(odd: Any, tmp_path: Path) -> None:
    for seeds in ((0, 1), (0,)):
        store = factory.kept(tmp_path / str(seeds), students(*seeds))
        _rewritten(**{"labels.dev": odd})(store.cells / "t-mrpc-kd-0.npz")
        made = Examples(load(store))
        found = made.labels("mrpc", "dev")
        assert found is None if len(seeds) == 1 else np.array_equal(found, LABELS)
        (problem,) = made.problems
        assert problem.path.name == "t-mrpc-kd-0.npz"
        assert "not whole numbers from 0 on" in problem.reason
