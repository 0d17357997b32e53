"""A user's own rows: what the labels are, what becomes of every row, and what is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reaugkd.errors import DataError
from reaugkd.tasks import OwnData, load, own
from reaugkd.tasks.task import Task, TaskData

Rows = Sequence[tuple[Any, Any]]


def write(path: Path, rows: Rows) -> Path:
    if path.suffix == ".jsonl":
        lines = (json.dumps({"text": text, "label": label}) for text, label in rows)
        path.write_text("\n".join(lines), encoding="utf-8")
        return path
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


def data(
    folder: Path, train: Rows, test: Rows, held: Rows | None = None, end: str = "csv"
) -> OwnData:
    folder.mkdir(exist_ok=True)
    return OwnData(
        train=str(write(folder / f"train.{end}", train)),
        test=str(write(folder / f"test.{end}", test)),
        held_out=str(write(folder / f"held.{end}", held)) if held else None,
        text=("text",),
        label="label",
    )


def loaded(rows: OwnData, **options: Any) -> TaskData:
    return load(task(rows), own=rows, **options)


def task(rows: OwnData) -> Task:
    return own.task("mine", pair=False, labels=own.survey(rows).names)


def many(*labels: Any, each: int = 4) -> list[tuple[str, Any]]:
    return [(f"text {label} {n}", label) for n in range(each) for label in labels]


@pytest.mark.parametrize(
    ("labels", "kind", "names"),
    [
        (["no", "yes"], "classes", ("no", "yes")),
        (["b", "B", "ä", "a"], "classes", ("B", "a", "b", "ä")),
        (["10", "9", "1", "01"], "classes", ("01", "1", "9", "10")),
        (["-1", "0", "1"], "classes", ("-1", "0", "1")),
        (["1", "2", "x"], "classes", ("1", "2", "x")),
        ([f"{n / 8}" for n in range(90)], "score", ()),
    ],
)
def test_the_kind_and_the_order_of_labels(
    labels: list[str], kind: str, names: tuple[str, ...], tmp_path: Path
) -> None:
    rows = many(*labels)
    for order in (rows, rows[::-1]):
        assert own.survey(data(tmp_path, order, rows)) == (kind, names)


def test_labels_are_what_they_are_in_a_file_with_types(tmp_path: Path) -> None:
    for labels, names in (
        ([1, 2, 10], ("1", "2", "10")),
        ([True, False], ("False", "True")),
        ([1.0, 2.0], ("1", "2")),
        ([1, "1 ", "01"], ("01", "1")),
    ):
        rows = many(*labels)
        assert own.survey(data(tmp_path, rows, rows, end="jsonl")) == ("classes", names)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["1.5", "2", "3"], "3 different numbers, some with decimals; say which: --set data.kind"),
        ([f"{n}" for n in range(101)], "101 different whole numbers; say which"),
        ([f"id {n}" for n in range(99)], "99 different values in 99 rows, too many for classes"),
        (["one"], "one class only, 'one'"),
    ],
)
def test_where_either_kind_is_possible_it_is_asked(
    labels: list[str], words: str, tmp_path: Path
) -> None:
    rows = many(*labels, each=1)
    with pytest.raises(DataError, match=words):
        own.survey(data(tmp_path, rows, rows))


def test_what_is_asked_can_be_said(tmp_path: Path) -> None:
    rows = many("1.5", "2", "3")
    files = data(tmp_path, rows, rows)
    assert own.survey(files, "score") == ("score", ())
    assert own.survey(files, "classes") == ("classes", ("1.5", "2", "3"))
    assert own.survey(files, "classes", ["3", "2", "1.5"]).names == ("3", "2", "1.5")


def test_classes_keep_their_names_and_rows_their_texts(tmp_path: Path) -> None:
    rows = loaded(data(tmp_path, many("no", "yes", each=30), [("", "yes"), (" a\nb ", "no")]))
    assert rows.task.labels == ("no", "yes")
    assert rows.tests["test"]["text_a"][:] == ["", " a\nb "]
    assert rows.tests["test"]["label"][:] == [1, 0]
    assert sorted([*rows.fit["idx"], *rows.held_out["idx"]]) == list(range(60))
    assert rows.source == "train.csv, test.csv"


def test_scores_stay_scores(tmp_path: Path) -> None:
    train = [(f"t {n}", f"{n / 7:.2f}") for n in range(80)]
    rows = loaded(data(tmp_path, train, [("a", "-3"), ("b", "1e2")]))
    assert rows.task.regression
    assert rows.task.metrics == ("pearson", "spearman")
    assert rows.tests["test"]["label"][:] == [-3.0, 100.0]


def test_rows_that_are_held_out_can_be_given(tmp_path: Path) -> None:
    train, held = many("no", "yes", each=9), [("h", "no"), ("i", "yes"), ("j", "no")]
    rows = loaded(data(tmp_path, train, train, held))
    assert rows.fit["text_a"][:] == [text for text, _ in train]
    assert rows.held_out["text_a"][:] == ["h", "i", "j"]
    assert rows.fingerprint != loaded(data(tmp_path, train, train)).fingerprint


def test_contents_decide_the_fingerprint_and_places_do_not(tmp_path: Path) -> None:
    rows = many("no", "yes", each=9)
    first = loaded(data(tmp_path / "a", rows, rows)).fingerprint
    assert loaded(data(tmp_path / "b", rows, rows, end="jsonl")).fingerprint == first
    assert loaded(data(tmp_path / "a", rows[::-1], rows)).fingerprint != first


def test_a_class_with_one_row_is_for_learning_and_told(tmp_path: Path) -> None:
    train = [*many("a", "b", each=20), ("only", "rare"), ("lone", "single")]
    rows = loaded(data(tmp_path, train, many("a", "rare")))
    assert {rows.task.labels.index(name) for name in ("rare", "single")} <= {*rows.fit["label"]}
    assert "2 classes have one row to learn from: rare, single" in rows.notes


def test_hundreds_of_classes_are_divided(tmp_path: Path) -> None:
    train = many(*(f"class {n}" for n in range(300)), each=3)
    rows = loaded(data(tmp_path, train, train[:10]))
    assert len(rows.held_out) == 200
    assert {*rows.fit["label"]} == set(range(300))
    assert np.bincount(rows.held_out["label"]).max() == 1


def test_a_limit_may_leave_classes_out_and_says_so(tmp_path: Path) -> None:
    rows = loaded(data(tmp_path, many(*"abcdefghij"), many("a", "j")), limit=6)
    assert len(rows.fit) + len(rows.held_out) == 6
    assert any("classes have no row to learn from" in note for note in rows.notes)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("a", "yes"), ("b", "")], ("row 2", "no label in column 'label'")),
        ([("a", "yes"), ("b", None)], ("row 2", "no label")),
        ([("a", "yes"), ("b", float("nan"))], ("row 2", "no label")),
        ([("a", "yes"), ("b", ["no"])], ("row 2", "no label but a list")),
        ([("a", "no"), ("b", "yess")], ("row 2", "'yess'", "2 classes", "did you mean 'yes'")),
        ([(None, "yes")], ("row 1", "a text in column 'text', found nothing")),
        ([("a", "yes"), (7, "yes")], ("row 2", "found 7")),
        ([("\ud800", "yes")], ("row 1", "surrogate")),
        ([], ("at least",)),
    ],
)
def test_a_row_that_cannot_be_used_is_named(
    rows: Rows, words: tuple[str, ...], tmp_path: Path
) -> None:
    files = data(tmp_path, many("no", "yes", each=9), many("no", "yes"), end="jsonl")
    path = write(tmp_path / "bad.jsonl", [*rows, ("z", "no")] if rows else rows)
    if not rows:
        path.write_text('{"text": "a", "label": "no"}\n'[:0], encoding="utf-8")
        words = ("unknown column",)
    for part in ("test", "held_out"):
        bad = OwnData(**{**vars(files), part: str(path)})
        with pytest.raises(DataError) as told:
            loaded(bad)
        assert [word for word in (path, *words) if str(word) not in str(told.value)] == []


def test_a_score_that_is_none_is_named(tmp_path: Path) -> None:
    train = [(f"t {n}", f"{n / 7:.2f}") for n in range(80)]
    with pytest.raises(
        DataError, match=r"test\.csv, row 2: expected a score like 3\.5, found '3,5'"
    ):
        loaded(data(tmp_path, train, [("a", "1"), ("b", "3,5")]))


def test_a_name_is_the_files_or_its_folders(tmp_path: Path) -> None:
    assert own.name_of(str(tmp_path / "my mail" / "train.csv")) == "my-mail"
    assert own.name_of("Reviews 2.jsonl") == "Reviews-2"
