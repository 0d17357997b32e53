"""From neighbours to an answer: weights, gather of the soft labels, mixture; no search.

The laws are ratios within one loop, so that they hold on any machine. A few seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import median
from time import perf_counter_ns
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from reaugkd.retrieval.mixing import augment

ENTRIES, TAU, BETA = 67_349, 0.1, 0.5  # SST-2's knowledge base: its soft labels fit no first cache


class Given(NamedTuple):
    """What the index and the student said of a batch."""

    student: NDArray[np.float32]
    similarities: NDArray[np.float32]
    ids: NDArray[np.int64]
    values: NDArray[np.float32]


def given(batch: int, k: int, classes: int) -> Given:
    random = np.random.default_rng([batch, k, classes])

    def draw(rows: int) -> NDArray[np.float32]:
        if classes == 1:
            return random.standard_normal((rows, 1)).astype(np.float32)
        return random.dirichlet(np.ones(classes), rows).astype(np.float32)

    similarities = -np.sort(-random.uniform(0.3, 1.0, (batch, k)).astype(np.float32), axis=1)
    return Given(draw(batch), similarities, random.integers(0, ENTRIES, (batch, k)), draw(ENTRIES))


def one_by_one(given: Given) -> list[list[float]]:
    """The formula as it is written, without arrays."""
    answers = []
    for student, similarities, ids in zip(*map(np.ndarray.tolist, given[:3]), strict=True):
        top = max(similarities)
        powers = [math.exp((one - top) / TAU) for one in similarities]
        rows = [given.values[number].tolist() for number in ids]
        found = [
            sum(power * row[column] for power, row in zip(powers, rows, strict=True)) / sum(powers)
            for column in range(len(student))
        ]
        pairs = zip(student, found, strict=True)
        answers.append([(1 - BETA) * own + BETA * theirs for own, theirs in pairs])
    return answers


def mixed(given: Given) -> NDArray[Any]:
    return augment(*given, TAU, BETA)


def ratio(first: Callable[[], Any], second: Callable[[], Any], rounds: int = 200) -> float:
    """Median time of ``first`` over that of ``second``, in one loop in alternating order."""
    times: tuple[list[int], list[int]] = ([], [])
    for number in range(rounds):
        for which in (0, 1) if number % 2 else (1, 0):
            start = perf_counter_ns()
            (first, second)[which]()
            times[which].append(perf_counter_ns() - start)
    return median(times[0]) / median(times[1])


@pytest.mark.parametrize("classes", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 32])
def test_mixing(benchmark: BenchmarkFixture, batch: int, classes: int) -> None:
    case = given(batch, k=10, classes=classes)
    benchmark.group = f"mixing, k 10, {batch} at a time"
    result = benchmark(lambda: mixed(case))
    np.testing.assert_allclose(result, one_by_one(case), atol=1e-6)


def test_a_batch_of_32_costs_less_than_8_single_ones() -> None:
    """A fixed number of array operations, whatever the batch."""
    batch, single = given(32, 10, 2), given(1, 10, 2)
    found = ratio(lambda: mixed(batch), lambda: mixed(single))
    print(f"\n32 queries take {found:.1f} times as long as one")
    assert found < 8


def test_many_neighbours_cost_little_more_than_few() -> None:
    many, few = given(32, 32, 2), given(32, 1, 2)
    found = ratio(lambda: mixed(many), lambda: mixed(few))
    print(f"\n32 neighbours take {found:.1f} times as long as one")
    assert found < 8


def test_arrays_beat_the_formula_written_out() -> None:
    case = given(32, 10, 2)
    found = ratio(lambda: one_by_one(case), lambda: mixed(case), rounds=40)
    print(f"\nwithout arrays: {found:.1f} times as long")
    assert found > 2
