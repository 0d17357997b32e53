"""Laws of the division of train."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reaugkd.errors import DataError, UserError
from reaugkd.tasks import get_task
from reaugkd.tasks.division import BINS, divide, folds, held_out_size, subset

RTE, MNLI, STSB = get_task("rte"), get_task("mnli"), get_task("stsb")

seeds = st.integers(0, 2**32 - 1)


@st.composite
def class_labels(draw):
    counts = draw(st.lists(st.integers(10, 900), min_size=3, max_size=3))
    labels = np.repeat(np.arange(3), counts)
    return np.random.default_rng(draw(seeds)).permutation(labels)


@given(class_labels(), seeds)
def test_parts_are_disjoint_whole_in_order_and_stratified(labels, seed):
    fit, held_out = divide(labels, MNLI, seed)
    assert sorted([*fit, *held_out]) == list(range(len(labels)))
    assert (np.diff(fit) > 0).all()
    assert (np.diff(held_out) > 0).all()
    assert len(held_out) == held_out_size(len(labels))
    exact = np.bincount(labels) * len(held_out) / len(labels)
    assert (abs(np.bincount(labels[held_out], minlength=3) - exact) <= 1).all()


@given(st.integers(60, 1500), st.sampled_from([1, 2, 5, 50]), seeds)
def test_regression_is_stratified_by_score_whatever_the_ties(rows, values, seed):
    scores = np.random.default_rng(seed).integers(0, values, rows).astype(np.float32)
    fit, held_out = divide(scores, STSB, seed)
    assert sorted([*fit, *held_out]) == list(range(rows))
    order = np.argsort(scores, kind="stable")
    held = np.isin(order, held_out)
    share = len(held_out) / rows
    for start, stop in zip(*_bin_edges(rows), strict=True):
        assert abs(held[start:stop].sum() - share * (stop - start)) <= 1


def _bin_edges(rows):
    edges = [-(-bin_ * rows // BINS) for bin_ in range(BINS + 1)]
    return edges[:-1], edges[1:]


def test_equal_seeds_agree_and_others_do_not():
    labels = np.arange(1000) % 2
    first, again, other = (divide(labels, RTE, seed)[1] for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize(
    ("rows", "held_out"),
    [(2, 1), (399, 199), (400, 200), (635, 200), (2490, 249), (20_000, 2000), (400_000, 2000)],
)
def test_a_tenth_is_held_out_within_bounds(rows, held_out):
    assert held_out_size(rows) == held_out


@pytest.mark.parametrize("task", [RTE, MNLI])
def test_the_least_that_can_be_divided_has_two_rows_of_each_class(task):
    labels = np.tile(np.arange(task.outputs), 2)
    fit, held_out = divide(labels, task, 0)
    assert set(labels[fit]) == set(labels[held_out]) == set(range(task.outputs))
    with pytest.raises(DataError, match=f"has 1 rows of class '{task.labels[-1]}'"):
        divide(labels[:-1], task, 0)


@given(st.lists(st.integers(0, 40), min_size=2, max_size=400), seeds)
def test_rare_classes_keep_a_row_to_learn_from(given_labels, seed):
    labels = np.array(given_labels)
    task = replace(RTE, labels=tuple(map(str, range(41))))
    if np.bincount(labels).max() < 2:
        with pytest.raises(DataError, match="no class with two rows"):
            divide(labels, task, seed, rare=True)
        return
    fit, held_out = divide(labels, task, seed, rare=True)
    assert sorted([*fit, *held_out]) == list(range(len(labels)))
    assert (np.diff(fit) > 0).all()
    assert (np.diff(held_out) > 0).all()
    assert {*labels[fit]} == {*labels}
    counts, held = np.bincount(labels), np.bincount(labels[held_out], minlength=labels.max() + 1)
    exact = np.where(counts > 1, counts, 0) * len(held_out) / counts[counts > 1].sum()
    assert (abs(held - exact) <= 1).all()


def test_rare_is_the_same_division_where_no_class_is_rare():
    labels = np.arange(1000) % 2
    for one, other in zip(divide(labels, RTE, 1), divide(labels, RTE, 1, rare=True), strict=True):
        assert (one == other).all()


def test_a_class_that_train_never_shows_is_named():
    with pytest.raises(DataError, match="has 0 rows of class 'not_entailment'"):
        divide(np.zeros(500, dtype=np.int64), RTE, 0)


def test_one_score_cannot_be_divided_but_two_can():
    with pytest.raises(DataError, match=r"has 1 rows, too few .* at least 2"):
        divide(np.array([1.0]), STSB, 0)
    assert [len(part) for part in divide(np.array([1.0, 2.0]), STSB, 0)] == [1, 1]


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 300), seeds)
def test_a_smaller_limit_keeps_a_part_of_a_larger_one(rows, small, large, seed):
    small, large = sorted((small, large))
    few, many = subset(rows, small, seed), subset(rows, large, seed)
    assert len(few) == min(rows, small)
    assert set(few) <= set(many) <= set(range(rows))
    assert (np.diff(few) > 0).all()


def test_a_limit_below_one_is_refused():
    with pytest.raises(UserError, match="at least 1"):
        subset(10, 0, 0)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=200), st.data(), st.integers(0, 99))
def test_folds_are_stratified_to_within_one_row(
    given_labels: list[int], data: st.DataObject, seed: int
) -> None:
    labels, count = np.array(given_labels), data.draw(st.integers(2, len(given_labels)))
    fold = folds(labels, count, seed)
    assert np.array_equal(fold, folds(labels, count, seed))
    assert np.ptp(np.bincount(fold, minlength=count)) <= 1
    for label in np.unique(labels):
        assert np.ptp(np.bincount(fold[labels == label], minlength=count)) <= 1


def test_folds_of_scores_have_the_same_scores() -> None:
    scores = np.random.default_rng(0).normal(size=1000)
    fold = folds(scores, 5, seed=0)
    means = [scores[fold == number].mean() for number in range(5)]
    assert np.ptp(means) < 0.05


def test_folds_depend_on_the_seed_and_mix_rows() -> None:
    labels = np.zeros(100, dtype=np.int64)
    assert not np.array_equal(folds(labels, 5, 0), folds(labels, 5, 1))
    assert folds(labels, 5, 0)[:5].tolist() != [0, 1, 2, 3, 4]
