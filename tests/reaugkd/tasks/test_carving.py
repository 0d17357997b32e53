"""Laws of a test split that is carved out of train."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reaugkd.errors import DataError
from reaugkd.tasks import get_task, load, own
from reaugkd.tasks.carving import LONGEST, CarvedTest, Nested, carve, with_carved_test
from reaugkd.tasks.division import BINS, score_bins
from tests.reaugkd.tasks import glue_files

MNLI, STSB, RTE = get_task("mnli"), get_task("stsb"), get_task("rte")
ROWS = 120


@given(
    st.lists(st.integers(4, 300), min_size=3, max_size=3),
    st.floats(0.01, 0.9),
    st.integers(0, 2**32 - 1),
)
def test_parts_are_disjoint_whole_in_order_and_stratified(
    counts: list[int], share: float, seed: int
) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(3), counts))
    size = max(1, min(round(share * len(labels)), len(labels) - 6))
    left, test = carve(labels, MNLI, size, keep=2)
    assert sorted([*left, *test]) == list(range(len(labels)))
    assert len(test) == size
    assert (np.diff(left) > 0).all()
    assert (np.diff(test) > 0).all()
    assert (np.bincount(labels[left], minlength=3) >= 2).all()
    if share <= 0.5:  # so that no class has all but its last rows in it
        exact = np.array(counts) * size / len(labels)
        assert (abs(np.bincount(labels[test], minlength=3) - exact) <= 2).all()


@given(st.integers(30, 400), st.sampled_from([1, 3, 50]), st.integers(0, 2**32 - 1))
def test_regression_is_stratified_by_score_whatever_the_ties(
    rows: int, values: int, seed: int
) -> None:
    scores = np.random.default_rng(seed).integers(0, values, rows).astype(np.float32)
    _, test = carve(scores, STSB, rows // 2, keep=1)
    bins = score_bins(scores, BINS)
    exact = np.bincount(bins) * len(test) / rows
    assert (abs(np.bincount(bins[test], minlength=BINS) - exact) <= 1).all()


@given(st.integers(1, 150), st.integers(1, 150))
def test_a_smaller_one_is_a_part_of_a_larger_one(one: int, other: int) -> None:
    labels = np.random.default_rng(0).integers(0, 3, 200)
    (_, few), (_, many) = (carve(labels, MNLI, size, keep=2) for size in sorted((one, other)))
    assert {*few} <= {*many}


def test_rows_that_every_class_needs_are_never_test_rows() -> None:
    labels = np.repeat([0, 1, 2], [10, 2, 1])
    left, _ = carve(labels, MNLI, 9 + 1, keep=1)
    assert labels[left].tolist() == [0, 1, 2]
    with pytest.raises(
        DataError, match=r"9 of the 13 rows of train cannot.*from 1 to 8 can, as 2 of every class"
    ):
        carve(labels, MNLI, 9, keep=2)
    with pytest.raises(DataError, match="0 of the 13 rows"):
        carve(labels, MNLI, 0, keep=2)
    with pytest.raises(DataError, match="as 2 of every tenth of the scores are left"):
        carve(labels.astype(np.float32), STSB, 13, keep=2)


WORDS = st.lists(st.sampled_from("abc"), min_size=1, max_size=5).map(" ".join)


@given(st.lists(WORDS, min_size=6, max_size=40), st.integers(0, 2**32 - 1), st.booleans())
def test_no_row_that_is_left_stands_in_a_test_row_nor_a_test_row_in_another(
    texts: list[str], seed: int, pair: bool
) -> None:
    labels = np.random.default_rng(seed).integers(0, 2, len(texts))
    rows = [(text, text) if pair else (text,) for text in texts]
    able = int(Nested.of(rows).outermost.sum())
    for size in (1, max(1, able // 2)):
        left, test = carve(labels, RTE, size, keep=0, texts=rows)
        assert not {*left} & {*test}
        inside = {
            number
            for number, text in enumerate(texts)
            for row in test
            if (text == texts[row] if pair else f" {text} " in f" {texts[row]} ")
        }
        assert {*left} == {*range(len(texts))} - inside
        if not pair:
            others = [
                other != texts[row] and f" {texts[row]} " in f" {other} "
                for row in test
                for other in texts
            ]
            assert not any(others)


def test_case_and_spaces_do_not_make_another_text() -> None:
    texts = [("A  good film",), ("good",), ("a good Film",), ("bad",), ("go od",)]
    nested = Nested.of(texts)
    assert nested.outermost.tolist() == [True, False, False, True, True]
    assert nested.within(np.array([0])).tolist() == [0, 1, 2]


def test_a_long_text_stands_in_an_equal_one_only() -> None:
    long = "word " * (LONGEST + 1)
    assert Nested.of([(long,), ("word",), (long,)]).outermost.tolist() == [True, True, False]


def test_rows_that_stand_in_others_are_told_where_there_are_too_few() -> None:
    texts = [("one two",), ("one",), ("two",), ("three",)]
    with pytest.raises(DataError, match=r"from 1 to 2 can, .* are left and 2 stand in others"):
        carve(np.array([0, 0, 1, 1]), RTE, 3, keep=0, texts=texts)


@pytest.mark.glue
def test_test_rows_of_sst2_are_sentences_like_those_of_dev() -> None:
    folder = Path(os.environ["REAUGKD_GLUE_DIR"])
    data = load("sst2", data_dir=folder, test="train:4000", limit=11_111)
    sizes = {name: len(rows) for name, rows in data.splits().items()}
    assert sizes == {"fit": 10_000, "held_out": 1_111, "test": 4_000, "dev": 872}
    words = {
        name: np.mean([len(text.split()) for text in rows["text_a"]])
        for name, rows in data.tests.items()
    }
    assert words["test"] == pytest.approx(words["dev"], rel=0.05)
    sentences = "\n".join(data.tests["test"]["text_a"])
    fit = [text.strip() for text in data.fit["text_a"]]
    assert not [text for text in fit if f" {text} " in f" {sentences} " and len(text.split()) > 3]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("train:0", "has no row"),
        ("train:", "expected rows of train"),
        ("train:many", "expected rows of train"),
        ("train:-5", "expected rows of train"),
        ("train:1.5", "expected rows of train"),
        ("train:0%", "is no part of train"),
        ("train:100%", "is no part of train"),
        ("test.csv", "expected rows of train"),
    ],
)
def test_what_is_no_part_of_train_is_told(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        CarvedTest.parse(text)


@pytest.mark.parametrize("text", ["train:4000", "train:12.5%"])
def test_a_spelling_is_read_as_it_is_written(text: str) -> None:
    assert str(CarvedTest.parse(text)) == text
    assert CarvedTest.parse(text.replace(":", ": ").replace("%", " %")) == CarvedTest.parse(text)


def test_a_task_that_has_both_names_cannot_have_another() -> None:
    task = own.task("mine", pair=False, labels=("a", "b"), tests=("test", "dev"))
    with pytest.raises(DataError, match="has a test and a dev split of its own"):
        with_carved_test(task)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("glue")
    for task in (RTE, MNLI):
        glue_files.write_folder(made, task, rows=ROWS)
    return made


def rows(data: Any, split: str) -> list[int]:
    return list(data.splits()[split]["idx"])


def test_neither_limit_nor_seed_moves_it_and_limit_is_of_what_is_left(folder: Path) -> None:
    data = load("rte", data_dir=folder, test="train:40")
    other = load("rte", data_dir=folder, test="train:40", limit=50, split_seed=7)
    assert list(data.tests) == ["test", "dev"]
    assert rows(data, "test") == rows(other, "test")
    assert rows(data, "fit") != rows(other, "fit")
    assert len(rows(data, "fit") + rows(data, "held_out")) == ROWS - 40
    assert len(rows(other, "fit") + rows(other, "held_out")) == 50
    for carved in (data, other):
        assert not {*rows(carved, "test")} & {*rows(carved, "fit"), *rows(carved, "held_out")}
        assert carved.train_rows == ROWS
        assert carved.of_train() == {"fit", "held_out", "test"}
    assert rows(load("rte", data_dir=folder), "dev") == rows(data, "dev") == list(range(ROWS))
    assert any(note.startswith("test is 40 of the 120 rows of train") for note in data.notes)


def test_it_decides_the_fingerprint_and_its_absence_does_not(folder: Path) -> None:
    plain = load("rte", data_dir=folder)
    assert not plain.carved
    assert plain.of_train() == {"fit", "held_out"}
    prints = [load("rte", data_dir=folder, test=f"train:{n}").fingerprint for n in (30, 40)]
    assert len({plain.fingerprint, *prints}) == 3
    share = load("rte", data_dir=folder, test="train:25%")
    assert share.fingerprint == prints[0]  # the same rows


def test_both_splits_of_mnli_stand_beside_it(folder: Path) -> None:
    data = load("mnli", data_dir=folder, test="train:10%")
    assert [len(rows) for rows in data.tests.values()] == [12, ROWS, ROWS]
    assert data.task.tests == ("test", "dev_matched", "dev_mismatched")


def test_too_many_rows_are_told_with_the_setting(folder: Path) -> None:
    with pytest.raises(DataError, match=r"RTE: 119 of the 120 rows.*from 1 to 116 can"):
        load("rte", data_dir=folder, test="train:119")
    with pytest.raises(DataError, match=r"RTE: train without train:100 has \d rows of class"):
        load("rte", data_dir=folder, test="train:100", limit=1)
