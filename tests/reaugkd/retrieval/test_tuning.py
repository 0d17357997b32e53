"""Recall and the effort that reaches it."""

from __future__ import annotations

import numpy as np
import pytest

from reaugkd.retrieval import ann
from reaugkd.retrieval.ann.exact import Exact
from reaugkd.retrieval.tuning import PATIENCE, SENSIBLE, Truth, Tuned, recall_at_k, tune
from tests.reaugkd.retrieval.cases import K, queries, vectors

ROWS = 2000


@pytest.fixture(scope="module")
def truth() -> Truth:
    exact = Exact()
    exact.build(vectors(ROWS))
    return Truth(exact, queries(), K)


def test_recall_counts_what_was_found() -> None:
    exact = np.array([[0.9, 0.8], [0.7, 0.6]])
    assert recall_at_k(exact, exact) == 1.0
    assert recall_at_k(np.array([[0.9, 0.1], [-np.inf, -np.inf]]), exact) == 0.25


def test_ties_are_interchangeable() -> None:
    exact = np.array([[0.9, 0.5]])
    assert recall_at_k(np.array([[0.9, 0.5 - 5e-7]]), exact) == 1.0
    assert recall_at_k(np.array([[0.9, 0.5 - 5e-6]]), exact) == 0.5


def test_missing_neighbours_need_not_be_found() -> None:
    exact = np.array([[0.9, -np.inf], [-np.inf, -np.inf]])
    assert recall_at_k(exact, exact) == 1.0


@pytest.mark.parametrize("spec", ["hnswlib", "faiss", "faiss:IVF16,Flat", "annoy"])
def test_the_least_effort_that_reaches_the_target_is_kept(spec: str, truth: Truth) -> None:
    index = ann.make(spec)
    index.build(vectors(ROWS))
    tuned = tune(index, truth, target=0.97)
    assert tuned.target_met
    assert tuned.recall >= 0.97
    assert index.effort == tuned.effort
    assert truth.recall(index.search(queries(), K)[1]) == tuned.recall
    efforts = index.efforts(K)
    assert tuned.effort in efforts
    for lower in efforts[: efforts.index(tuned.effort)]:
        index.effort = lower
        assert truth.recall(index.search(queries(), K)[1]) < 0.97


@pytest.mark.parametrize("spec", ["exact", "faiss:Flat"])
def test_without_a_knob_there_is_nothing_to_choose(spec: str, truth: Truth) -> None:
    index = ann.make(spec)
    index.build(vectors(ROWS))
    assert tune(index, truth) == Tuned(effort=None, recall=1.0, target_met=True)


def test_a_target_out_of_reach_is_recorded_and_not_chased(truth: Truth) -> None:
    index = ann.make("hnswlib", m=2, ef_construction=2)
    index.build(vectors(ROWS))
    searched = []
    search = index._search
    index._search = lambda rows, k: (searched.append(index.effort), search(rows, k))[1]
    tuned = tune(index, truth)
    assert not tuned.target_met
    assert tuned.recall < 0.99
    assert index.effort == tuned.effort
    efforts = index.efforts(K)
    assert searched == efforts[: efforts.index(tuned.effort) + 1 + PATIENCE]


def test_effort_that_looks_at_more_than_a_quarter_of_the_entries_is_not_tried(truth: Truth) -> None:
    """An index that needs more is slower than exact search, however near it is to the target."""

    class Endless(Exact):
        size = 10 * SENSIBLE

        def efforts(self, k: int) -> list[int]:
            return [SENSIBLE, self.size // 4, self.size // 2, self.size]

        def search(self, queries, k):  # type: ignore[no-untyped-def]
            tried.append(self.effort)
            ids = np.full((len(queries), k), -1)
            found = min(len(tried), k)  # every effort finds one neighbour more
            ids[:, :found] = truth.ids[:, :found]
            return np.zeros((len(queries), k), np.float32), ids

    tried: list[int | None] = []
    index = Endless()
    index.size = Endless.size
    tuned = tune(index, truth, target=1.0)
    assert tried == [SENSIBLE, index.size // 4]
    assert tuned.effort == index.effort == index.size // 4
    assert not tuned.target_met


def test_between_two_steps_of_the_ladder_the_least_effort_is_searched_for(truth: Truth) -> None:
    index = ann.make("hnswlib")
    index.build(vectors(ROWS))
    coarse = tune(index, truth, target=0.97)
    fine = tune(index, truth, target=0.97, refine=True)
    assert fine.target_met
    assert coarse.effort is not None
    assert fine.effort == index.effort
    assert fine.effort is not None
    assert (
        index.efforts(K)[index.efforts(K).index(coarse.effort) - 1] < fine.effort <= coarse.effort
    )
    index.effort = fine.effort - 1
    assert truth.recall(index.search(queries(), K)[1]) < 0.97


def test_no_effort_beyond_the_most_is_tried(truth: Truth) -> None:
    index = ann.make("hnswlib")
    index.build(vectors(ROWS))
    tuned = tune(index, truth, target=1.0, most=K)
    assert (tuned.effort, tuned.target_met) == (K, False)
