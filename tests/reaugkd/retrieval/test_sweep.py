"""The sweep against one mixture at a time, and the choice of a setting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reaugkd.errors import EmbeddingError, UserError
from reaugkd.retrieval import mixing
from reaugkd.retrieval.sweep import Grid, GridPoint, choose, mixtures, sweep_scores
from reaugkd.tasks import metrics
from reaugkd.tasks.task import Task

CLASSES = Task("t", "T", "mini", False, ("a", "b", "c"), ("accuracy", "matthews"), "accuracy")
SCORES = Task("r", "R", "mini", True, (), ("pearson", "spearman"), "pearson", value_range=(0, 5))


def found(
    seed: int, queries: int = 6, neighbours: int = 5, classes: int = 3
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Student outputs, similarities with some missing (one row entirely), neighbours' values."""
    random = np.random.default_rng(seed)
    similarities = -np.sort(-random.uniform(-1, 1, (queries, neighbours)), axis=1)
    there = random.integers(0, neighbours + 1, queries)
    there[0] = 0
    missing = np.arange(neighbours) >= there[:, None]
    similarities[missing] = -np.inf
    values = random.dirichlet(np.ones(classes), (queries, neighbours))
    values[missing] = 0.0
    return random.dirichlet(np.ones(classes), queries), similarities, values


def sweep(*outputs: np.ndarray, grid: Grid) -> np.ndarray:
    return np.stack([mixtures(*outputs, grid, tau) for tau in grid.taus])


def one_by_one(
    student: np.ndarray, similarities: np.ndarray, values: np.ndarray, grid: Grid
) -> np.ndarray:
    mixed = np.empty((*grid.shape, *student.shape))
    for t, n, b in np.ndindex(grid.shape):
        k = grid.ks[n]
        weights = mixing.weights(similarities[:, :k], grid.taus[t])
        mean = mixing.retrieved(weights, values[:, :k])
        mixed[t, n, b] = mixing.mix(student, mean, grid.betas[b])
    return mixed


@given(
    seed=st.integers(0, 10**6),
    ks=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    betas=st.lists(st.floats(0, 1), min_size=1, max_size=4),
    taus=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=3),
)
def test_equals_one_mixture_at_a_time(
    seed: int, ks: list[int], betas: list[float], taus: list[float]
) -> None:
    grid = Grid(tuple(ks), tuple(betas), tuple(taus))
    student, similarities, values = found(seed)
    swept = sweep(student, similarities, values, grid=grid)
    assert swept.shape == (*grid.shape, 6, 3)
    np.testing.assert_allclose(swept, one_by_one(student, similarities, values, grid), atol=1e-12)


@given(
    seed=st.integers(0, 10**6),
    largest=st.sampled_from([1, 9, 10**6, 2**62]),
    tau=st.floats(1e-3, 1e3),
)
def test_with_counts_it_equals_one_mixture_at_a_time(seed: int, largest: int, tau: float) -> None:
    """Also where a later neighbour weighs more than the first, or than all of a smaller k."""
    grid = Grid((1, 2, 5), (0.0, 0.4, 1.0), (tau,))
    student, similarities, values = found(seed)
    logs = np.log(np.random.default_rng(seed).integers(1, largest + 1, similarities.shape))
    swept = mixtures(student, similarities, values, grid, tau, logs)
    for n, b in np.ndindex(3, 3):
        k = grid.ks[n]
        weights = mixing.weights(similarities[:, :k], tau, logs[:, :k])
        mean = mixing.retrieved(weights, values[:, :k])
        expected = mixing.mix(student, mean, grid.betas[b])
        np.testing.assert_allclose(swept[n, b], expected, atol=1e-10)
    alone = mixtures(student, similarities, values, grid, tau)
    ones = mixtures(student, similarities, values, grid, tau, np.zeros_like(logs))
    assert ones.tobytes() == alone.tobytes()


def test_counts_reach_the_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    grid, labels = Grid((2, 5), (0.5, 1.0), (1.0,)), np.arange(20) % 3
    outputs = found(3, queries=20)
    logs = np.log(np.random.default_rng(0).integers(1, 100, outputs[1].shape))
    scores = sweep_scores(CLASSES, *outputs, labels, grid, log_counts=logs)
    answers = mixtures(*outputs, grid, 1.0, logs).argmax(axis=3)
    np.testing.assert_allclose(scores["accuracy"][0], (answers == labels).mean(axis=2))
    monkeypatch.setattr("reaugkd.retrieval.sweep.AT_ONCE", 2 * 2 * 3 * 7)  # seven queries
    parts = sweep_scores(CLASSES, *outputs, labels, grid, log_counts=logs)
    assert (parts["accuracy"] == scores["accuracy"]).all()
    logs[4, 0] = np.nan
    with pytest.raises(EmbeddingError, match="the logarithm of a count of query 4 is NaN"):
        sweep_scores(CLASSES, *outputs, labels, grid, log_counts=logs)


def test_beta_0_and_queries_without_neighbours_are_the_student_bit_for_bit() -> None:
    student, similarities, values = found(3)
    student[1, 0] = -0.0
    swept = sweep(student, similarities, values, grid=Grid(ks=(1, 5)))
    assert all(part.tobytes() == student.tobytes() for part in swept[:, :, 0].reshape(-1, 6, 3))
    assert (swept[..., 0, :] == student[0]).all()


@pytest.mark.parametrize("task", [CLASSES, SCORES])
def test_scores_equal_the_metrics_of_each_setting(task: Task) -> None:
    grid = Grid(ks=(1, 3, 5), betas=(0.0, 0.3, 1.0), taus=(0.05, 1.0))
    student, similarities, values = found(5, queries=40, classes=max(3, task.outputs))
    student, values = student[:, : task.outputs], values[..., : task.outputs]
    labels = np.random.default_rng(0).integers(0, 3, 40)
    scores = sweep_scores(task, student, similarities, values, labels, grid)
    assert set(scores) == set(task.metrics)
    expected_mixtures = one_by_one(student, similarities, values, grid)
    for setting in np.ndindex(grid.shape):
        answers = metrics.predictions(task, expected_mixtures[setting])
        expected = metrics.score(task.metrics, answers, labels)
        for name in task.metrics:
            assert scores[name][setting] == pytest.approx(expected[name], abs=1e-12)


def test_many_classes_are_swept_some_queries_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    grid, labels = Grid((1, 3), (0.0, 0.5, 1.0), (0.1,)), np.arange(20) % 3
    outputs = found(3, queries=20)
    whole = sweep_scores(CLASSES, *outputs, labels, grid)
    monkeypatch.setattr("reaugkd.retrieval.sweep.AT_ONCE", 2 * 3 * 3 * 7)  # seven queries
    sizes: list[int] = []

    def watched(student: np.ndarray, *others: object) -> np.ndarray:
        sizes.append(len(student))
        return mixtures(student, *others)  # type: ignore[arg-type]

    monkeypatch.setattr("reaugkd.retrieval.sweep.mixtures", watched)
    parts = sweep_scores(CLASSES, *outputs, labels, grid)
    assert sizes == [7, 7, 6]
    assert all((parts[name] == whole[name]).all() for name in whole)


def test_metrics_of_probabilities_are_left_out_of_a_sweep() -> None:
    task = metrics.choose(CLASSES, ["accuracy", "ece", "f1_macro"])
    labels = [0, 1, 2, 0, 1, 2]
    assert list(sweep_scores(task, *found(1), labels, Grid((1,)))) == ["accuracy", "f1_macro"]


def test_the_same_predictions_are_scored_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counted(*arguments: object) -> dict[str, float]:
        calls.append(arguments)
        return {"accuracy": 0.5}

    monkeypatch.setattr("reaugkd.retrieval.sweep.score", counted)
    student = np.tile([0.8, 0.1, 0.1], (4, 1))
    values = np.tile(student[:, None], (1, 5, 1))  # the neighbours agree: nothing ever changes
    sweep_scores(CLASSES, student, np.zeros((4, 5)), values, [0] * 4, Grid((1, 5)), ["accuracy"])
    assert len(calls) == 1


def test_of_equal_settings_the_one_that_intervenes_least_is_chosen() -> None:
    grid = Grid(ks=(4, 1, 2), betas=(0.5, 0.0, 0.1), taus=(0.1, 1.0, 0.5))
    level = np.full(grid.shape, 0.7)
    assert choose(level, grid) == GridPoint(tau=1.0, k=1, beta=0.0, score=0.7)
    level[:, 0, 0] = level[:, 2, 2] = level[0, 1, 2] = 0.8  # best, but never at beta 0
    assert choose(level, grid) == GridPoint(tau=0.1, k=1, beta=0.1, score=0.8)
    level[0, 1, 2] = 0.7
    assert choose(level, grid) == GridPoint(tau=1.0, k=2, beta=0.1, score=0.8)
    level[2, 0, 0] += 1e-15  # rounding
    assert choose(level, grid).beta == 0.1
    level[2, 0, 0] = 0.9
    assert choose(level, grid) == GridPoint(tau=0.5, k=4, beta=0.5, score=0.9)


def test_k_beyond_the_entries_is_told_with_both_numbers() -> None:
    with pytest.raises(UserError, match="k = 32 is larger than the 5 entries"):
        sweep_scores(CLASSES, *found(0), [0] * 6, Grid())
    Grid(ks=(5,)).require(5)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"ks": (0, 1)}, "k must be one or more numbers at least 1"),
        ({"ks": ()}, "k must be"),
        ({"betas": (0.5, 1.1)}, "beta must be one or more numbers from 0 to 1"),
        ({"betas": (float("nan"),)}, "beta must be"),
        ({"taus": (0.0,)}, "tau must be one or more numbers above 0"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(bad: dict[str, tuple], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Grid(**bad)


@pytest.mark.parametrize("which", range(3))
def test_a_nan_is_told_with_its_query_and_not_taken_for_a_missing_neighbour(which: int) -> None:
    arrays = list(found(0))
    arrays[which][4] = np.nan
    with pytest.raises(EmbeddingError, match="of query 4 is NaN"):
        sweep_scores(CLASSES, *arrays, labels=np.zeros(6, int), grid=Grid((1,), (0.5,), (0.1,)))
