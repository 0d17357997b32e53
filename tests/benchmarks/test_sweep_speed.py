"""The sweep at SST-2's size: 9 k x 11 beta x 5 tau over 872 queries, metrics included."""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from reaugkd.retrieval import mixing
from reaugkd.retrieval.sweep import Grid, choose, sweep_scores
from reaugkd.tasks.metrics import predictions, score
from reaugkd.tasks.task import Task

QUERIES, NEIGHBOURS = 872, 32
LIMIT_SECONDS = 2.0
TASK = Task("sst2", "SST-2", "glue", False, ("negative", "positive"), ("accuracy",), "accuracy")


@pytest.fixture(scope="module")
def found() -> tuple[np.ndarray, ...]:
    """A student that is right nine times in ten, neighbours that agree with the label as often."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, QUERIES)
    sides = 2 * labels - 1
    margin = 1.3 * sides + random.standard_normal(QUERIES)
    student = mixing.probabilities(np.stack([-margin, margin], axis=1))
    similarities = -np.sort(-random.uniform(0.3, 1.0, (QUERIES, NEIGHBOURS)), axis=1)
    margins = 1.3 * sides[:, None] + random.standard_normal((QUERIES, NEIGHBOURS))
    logits = np.stack([-margins, margins], axis=2).reshape(-1, 2)
    values = mixing.probabilities(logits).reshape(QUERIES, NEIGHBOURS, 2)
    return student, similarities, values, labels


def test_sweep_and_choice(benchmark: BenchmarkFixture, found: tuple[np.ndarray, ...]) -> None:
    grid = Grid()
    assert grid.shape == (5, 9, 11)
    choice = benchmark.pedantic(
        lambda: choose(sweep_scores(TASK, *found, grid)["accuracy"], grid),
        rounds=5,
        warmup_rounds=1,
    )
    assert choice.score > 0.85
    assert benchmark.disabled or benchmark.stats.stats.median < LIMIT_SECONDS


def test_one_setting_at_a_time(benchmark: BenchmarkFixture, found: tuple[np.ndarray, ...]) -> None:
    """What the sweep replaces: weights, mixture and metric anew for every setting."""
    student, similarities, values, labels = found

    def one_by_one() -> float:
        grid, best = Grid(), 0.0
        for tau in grid.taus:
            for k in grid.ks:
                for beta in grid.betas:
                    weights = mixing.weights(similarities[:, :k], tau)
                    mixed = mixing.mix(student, mixing.retrieved(weights, values[:, :k]), beta)
                    answer = predictions(TASK, mixed)
                    best = max(best, score(TASK.metrics, answer, labels)["accuracy"])
        return best

    benchmark.pedantic(one_by_one, rounds=3)
