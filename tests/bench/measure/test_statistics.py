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


# --- skipping -------------------------------------------------------------------------------------


def mixture(skipped: int, asked: int) -> tuple[Laps, NDArray[np.int64]]:
    """A process of one input a batch: a skipped one takes 10, an asked one 1,000 of 100,000."""
    numbers = np.repeat([0, 1], [skipped, asked])
    added = np.tile(np.where(numbers, 1_000, 10), (2, 1))
    forward = np.full_like(added, 100_000)
    return Laps(forward, added, forward), numbers


@pytest.mark.parametrize("skipped", [4, 5, 6])
def test_the_overhead_with_skipping_is_the_mean_and_not_one_of_two_points(skipped: int) -> None:
    laps, numbers = mixture(skipped, 10 - skipped)
    expected = (skipped * 0.0001 + (10 - skipped) * 0.01) / 10
    found = ratio([laps] * 2, [numbers] * 2)
    assert found.estimate == pytest.approx(expected)
    assert found.low < expected < found.high  # of how many are asked, ten inputs know little
    seen = statistics.skipping([laps] * 2, [numbers] * 2, batch=1)
    assert seen.share == pytest.approx(skipped / 10)
    assert seen.mean == pytest.approx(expected * 0.1)  # milliseconds of a forward of 0.1
    assert seen.asked is not None
    assert seen.asked.p50 == 0.001
    assert seen.asked_ratio == ratio([Laps(*(lap[:, skipped:] for lap in laps))] * 2)


def test_where_all_are_asked_it_is_the_median_as_without_skipping() -> None:
    given = [timings(seed) for seed in range(3)]
    asked = [np.full(40, 4)] * 3
    assert ratio(given, asked) == ratio(given)
    assert end_to_end(given, asked) == end_to_end(given)
    seen = statistics.skipping(given, asked, batch=4)
    assert (seen.share, seen.asked_ratio) == (0.0, ratio(given))


def test_with_a_kind_per_batch_it_is_the_plain_mean() -> None:
    given = [timings(seed, rounds=1, batches=9) for seed in range(2)]
    asked = [np.arange(9)] * 2
    expected = np.mean([(one.added / one.forward).mean() for one in given])
    assert ratio(given, asked).estimate == pytest.approx(expected)


def test_one_hiccup_moves_neither_of_two_kinds() -> None:
    laps, numbers = mixture(50, 50)
    before = ratio([laps] * 2, [numbers] * 2).estimate
    laps.added[0, 3] *= 100_000
    laps.added[1, 80] *= 100_000
    assert ratio([laps] * 2, [numbers] * 2).estimate == pytest.approx(before)


def test_where_nothing_is_searched_there_is_no_figure_of_a_search() -> None:
    alone, numbers = mixture(10, 0)
    seen = statistics.skipping([alone] * 2, [numbers] * 2, batch=1)
    assert (seen.share, seen.asked, seen.asked_ratio) == (1.0, None, None)
    some, others = mixture(5, 5)
    seen = statistics.skipping([alone, some], [numbers, others], batch=1)
    assert seen.asked is not None
    assert seen.asked_ratio is None  # of the first process nothing is known


@pytest.mark.parametrize("numbers", [np.array([1, 0]), np.array([2, 1, 0, 1]), np.full(4, -1)])
def test_numbers_of_searched_inputs_that_cannot_be_are_refused(
    numbers: NDArray[np.int64],
) -> None:
    laps, _ = mixture(2, 2)
    with pytest.raises(ValueError, match="do not fit batches of 1"):
        statistics.skipping([laps] * 2, [numbers] * 2, batch=1)
