"""Laws of the statistics: closed forms, invariances, coverage, and a verdict that is careful."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.measure import statistics
from bench.measure.statistics import end_to_end, noise, percentiles, ratio, verdict
from bench.measure.timing import Laps
from bench.records.measurement import Interval


def timings(
    seed: int, share: float = 0.03, *, rounds: int = 2, batches: int = 40, spread: float = 0.1
) -> Laps:
    """A process: forwards of about 10 ms with lognormal noise, the rest a share of them."""
    random = np.random.default_rng(seed)

    def times(mean: float) -> NDArray[np.int64]:
        factors = np.exp(spread * random.standard_normal((rounds, batches)))
        return (mean * factors).astype(np.int64)

    return Laps(times(1e7), times(share * 1e7), times(1e7))


def same(value: int, *, rounds: int = 2, batches: int = 5) -> NDArray[np.int64]:
    return np.full((rounds, batches), value, np.int64)


def bounds(interval: Interval) -> tuple[float, float, float]:
    return interval.low, interval.estimate, interval.high


@pytest.mark.parametrize("processes", [2, 3, 7])
def test_equal_times_give_exactly_1_and_no_noise(processes: int) -> None:
    one = timings(0)
    given = [Laps(one.forward, one.forward, one.forward)] * processes
    assert bounds(ratio(given)) == (1.0, 1.0, 1.0)
    assert bounds(noise(given)) == (0.0, 0.0, 0.0)
    assert bounds(end_to_end(given)) == (1.0, 1.0, 1.0)


def test_constant_times_give_the_closed_form_with_an_empty_interval() -> None:
    given = [Laps(same(800), same(24), same(400)), Laps(same(800), same(40), same(400))]
    assert ratio(given).estimate == pytest.approx((0.03 + 0.05) / 2)
    assert bounds(noise(given)) == (1.0, 1.0, 1.0)
    found = ratio(given)
    assert (found.low, found.high) == (0.03, 0.05)  # all that is known: the two processes


def test_the_ratio_is_the_mean_over_processes_of_medians_over_inputs_of_medians_over_rounds() -> (
    None
):
    given = [timings(seed, rounds=3, batches=9) for seed in range(4)]
    medians = []
    for one in given:
        inputs = [
            sorted(a / f for a, f in zip(one.added[:, i], one.forward[:, i], strict=True))[1]
            for i in range(9)
        ]
        medians.append(sorted(inputs)[4])
    assert ratio(given).estimate == pytest.approx(sum(medians) / 4, rel=1e-12)


@pytest.mark.parametrize("factor", [2, 3, 1000])
def test_a_slower_clock_changes_nothing(factor: int) -> None:
    given = [timings(seed) for seed in range(3)]
    slower = [Laps(*(factor * array for array in one)) for one in given]
    for figure in (ratio, end_to_end, noise):
        assert figure(slower) == figure(given)


def test_one_hiccup_moves_neither_the_estimate_nor_the_verdict() -> None:
    given = [timings(seed) for seed in range(2)]
    before = ratio(given)
    given[0].added[0, 3] *= 10_000  # the machine went to sleep in one added part of 160
    after = ratio(given)
    assert after.estimate == pytest.approx(before.estimate, rel=0.02)
    assert after.high < 1.1 * before.high


def covered(true: float, between: float, processes: int, repetitions: int = 120) -> float:
    random = np.random.default_rng(5)
    hits = 0
    for number in range(repetitions):
        given = []
        for process in range(processes):
            shift = math.exp(between * random.standard_normal())
            given.append(timings(1000 * number + process, true * shift))
        found = ratio(given)
        hits += found.low <= true <= found.high
    return hits / repetitions


@pytest.mark.parametrize(("processes", "between"), [(2, 0.0), (2, 0.01), (4, 0.02)])
def test_the_interval_holds_the_true_ratio_about_as_often_as_it_says(
    processes: int, between: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 300)
    assert covered(0.03, between, processes) >= 0.92


def test_processes_that_differ_widen_the_interval() -> None:
    alike = ratio([timings(0, 0.03), timings(1, 0.03)])
    apart = ratio([timings(0, 0.02), timings(1, 0.04)])
    assert apart.high - apart.low > 3 * (alike.high - alike.low)
    assert apart.low < 0.021
    assert apart.high > 0.039


@pytest.mark.parametrize("given", [[], [timings(0)]])
def test_fewer_than_two_processes_say_nothing(given: list[Laps]) -> None:
    for figure in (ratio, end_to_end, noise):
        with pytest.raises(ValueError, match="at least 2 processes"):
            figure(given)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (Laps(same(3), same(3, batches=4), same(3)), "alike"),
        (Laps(*[np.ones(4, np.int64)] * 3), "rounds, batches"),
        (Laps(*[np.ones((2, 0), np.int64)] * 3), "rounds, batches"),
        (Laps(same(3), same(0), same(3)), "not positive"),
        (Laps(same(0), same(3), same(3)), "not positive"),
        (Laps(same(3), same(3), same(-1)), "not positive"),
    ],
)
def test_times_that_cannot_be_are_refused(broken: Laps, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ratio([timings(0), broken])


def test_percentiles_are_in_milliseconds_over_all_times() -> None:
    found = percentiles([np.arange(1, 51).reshape(2, 25) * 10**6, np.arange(51, 102) * 10**6])
    assert (found.p50, found.p95, found.p99) == pytest.approx((51, 96, 100))


def at(low: float, high: float) -> Interval:
    return Interval(estimate=(low + high) / 2, low=low, high=high)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.01, 0.03, "holds"),
        (0.03, 0.03, "holds"),
        (0.01, np.nextafter(0.03, 1), "undecided"),
        (0.03, 0.05, "undecided"),
        (np.nextafter(0.03, 1), 0.05, "fails"),
        (-0.02, -0.01, "holds"),
    ],
)
def test_the_verdict_at_the_limit(low: float, high: float, expected: str) -> None:
    assert verdict(at(low, high), 0.03) == expected


def test_a_higher_limit_is_never_harder_to_meet() -> None:
    order = ["fails", "undecided", "holds"]
    for low, high in [(0.01, 0.02), (0.0, 0.1), (0.05, 0.05), (0.029, 0.031)]:
        ranks = [order.index(verdict(at(low, high), limit)) for limit in np.linspace(0, 0.2, 201)]
        assert ranks == sorted(ranks)
        assert ranks[-1] == 2


@pytest.mark.parametrize("limit", [math.nan, math.inf, -0.01])
def test_a_limit_that_is_none_gives_no_verdict(limit: float) -> None:
    with pytest.raises(ValueError, match="no verdict"):
        verdict(at(0.01, 0.02), limit)
