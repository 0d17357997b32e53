"""Statistics of comparisons: closed forms, scipy's tests, and laws of every difference."""

from __future__ import annotations

import itertools
from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats as scipy_stats

from bench.stats.bootstrap import counts, observed, replicates
from bench.stats.difference import (
    Difference,
    degrees_of_freedom,
    difference,
    holm,
    mcnemar,
    minimum_detectable,
    variances,
)
from reaugkd.tasks.metrics import accuracy_standard_error

R = 1000


def rights(seeds: int, examples: int, share: float, seed: int = 0) -> NDArray[np.int64]:
    """Whether a student is right [S, N]; examples differ in difficulty."""
    random = np.random.default_rng([seed, seeds, examples])
    ease = random.normal(share, 0.2, examples)
    return (random.random((seeds, examples)) < ease).astype(np.int64)


def compared(one: NDArray[np.int64], other: NDArray[np.int64], resamples: int = R) -> Difference:
    seeds, examples = one.shape
    both, labels = np.concatenate([one, other]), np.ones(examples, int)
    points = observed("accuracy", both, labels)
    drawn = replicates("accuracy", both, labels, resamples=resamples)
    return difference(
        points[:seeds] - points[seeds:], drawn[:, :seeds] - drawn[:, seeds:], examples
    )


def test_a_method_does_not_differ_from_itself() -> None:
    one = rights(3, 80, 0.7)
    assert compared(one, one) == Difference(0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 3, 80)


def test_one_seed_has_no_interval_and_no_test_but_the_chance_of_its_examples() -> None:
    one, nothing = rights(1, 277, 0.7), np.zeros((1, 277), np.int64)
    found = compared(one, nothing, resamples=5000)
    share = float(one.mean())
    assert found.estimate == pytest.approx(share)
    assert (found.low, found.high, found.p, found.sd) == (None, None, None, None)
    closed = accuracy_standard_error(share, 277)
    assert found.se == pytest.approx(closed, rel=5 / sqrt(2 * 5000))
    assert found.detectable == pytest.approx(2.8016 * found.se, rel=1e-4)


def test_without_variance_of_seeds_the_se_is_that_of_the_mean_over_examples() -> None:
    one, other = rights(1, 500, 0.8), rights(1, 500, 0.6, seed=1)
    found = compared(one.repeat(4, axis=0), other.repeat(4, axis=0), resamples=5000)
    closed = (one - other).std() / sqrt(500)
    assert found.sd == pytest.approx(0, abs=1e-12)
    assert found.se == pytest.approx(closed, rel=5 / sqrt(2 * 5000))
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low == pytest.approx(2 * 1.96 * closed, rel=0.06)


def test_the_se_does_not_shrink_with_the_number_of_resamples() -> None:
    one, other = rights(3, 200, 0.8), rights(3, 200, 0.7, seed=1)
    few, many = compared(one, other, resamples=1000), compared(one, other, resamples=16_000)
    assert few.se == pytest.approx(many.se, rel=0.1)


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_with_endless_examples_it_is_students_t(seeds: int) -> None:
    values = np.random.default_rng(seeds).normal(0.01, 0.02, seeds)
    found = difference(values, np.tile(values, (10_000, 1)), examples=10**9)
    expected = scipy_stats.ttest_1samp(values, 0.0)
    low, high = expected.confidence_interval(0.95)
    assert found.p == pytest.approx(expected.pvalue, abs=2e-3)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.01 * (high - low))
    assert found.se == pytest.approx(values.std(ddof=1) / sqrt(seeds))
    expected_step = scipy_stats.t.ppf(0.975, seeds - 1) + scipy_stats.t.ppf(0.8, seeds - 1)
    assert found.detectable == pytest.approx(found.se * expected_step)


@pytest.mark.parametrize("seeds", [1, 3])
def test_exchanging_the_methods_changes_the_sign_and_nothing_else(seeds: int) -> None:
    one, other = rights(seeds, 120, 0.8), rights(seeds, 120, 0.7, seed=1)
    there, back = compared(one, other), compared(other, one)
    assert there.estimate == -back.estimate
    assert there.p == back.p
    assert there.se == pytest.approx(back.se)
    if seeds > 1:
        assert (there.low, there.high) == pytest.approx((-back.high, -back.low))  # type: ignore[operator]


def test_the_order_of_seeds_does_not_matter() -> None:
    one, other = rights(4, 120, 0.8), rights(4, 120, 0.7, seed=1)
    first = compared(one, other)
    for order in itertools.islice(itertools.permutations(range(4)), 1, 6):
        again = compared(one[list(order)], other[list(order)])
        assert again.p == first.p
        assert (again.low, again.high, again.se) == pytest.approx((first.low, first.high, first.se))


def test_the_pairing_is_used() -> None:
    # The same students against each other: hardly any chance is left, whatever the examples are.
    one = rights(3, 200, 0.6)
    other = one.copy()
    other[:, :3] = 1 - other[:, :3]
    paired = compared(one, other).se
    unpaired = compared(one, rights(3, 200, 0.6, seed=1)).se
    assert paired is not None
    assert unpaired is not None
    assert paired < 0.6 * unpaired


@given(
    st.integers(2, 5),
    st.integers(0, 10**6),
    st.floats(0, 0.05),
    st.floats(0, 0.05),
    st.floats(-0.1, 0.1),
)
def test_interval_and_p_say_the_same(
    seeds: int, seed: int, of_seeds: float, of_examples: float, true: float
) -> None:
    random = np.random.default_rng(seed)
    points = true + of_seeds * random.normal(size=seeds)
    drawn = points + of_examples * random.normal(size=(60, seeds)).round(1)
    found = difference(points, drawn, 100)
    assert found.low is not None
    assert found.high is not None
    assert found.p is not None
    assert found.low <= found.high
    assert 0 < found.p <= 1
    assert (found.p < 0.05) == (not found.low <= 0 <= found.high)


def test_the_variances_are_those_of_a_crossed_design() -> None:
    """By the mean squares of an analysis of variance of the table of seeds and examples."""
    seeds, examples = 4, 300
    table = (rights(seeds, examples, 0.8) - rights(seeds, examples, 0.6, seed=1)).astype(float)
    of_pairs, of_examples = variances(counts(examples, 20_000) @ table.T / examples)
    by_seed, by_example = table.mean(axis=1), table.mean(axis=0)
    residual = table - by_seed[:, None] - by_example + table.mean()
    pairs = (residual**2).sum() / ((seeds - 1) * (examples - 1))
    assert of_pairs == pytest.approx(pairs / (seeds * examples), rel=0.05)
    expected = (by_example.var(ddof=1) - pairs / seeds) / examples
    assert of_examples == pytest.approx(expected, rel=0.1)


def test_seeds_that_agree_by_luck_are_not_believed() -> None:
    drawn = np.random.default_rng(0).normal(0.0, 0.01, (R, 3))
    found = difference(np.zeros(3), drawn, 100)
    assert found.low is not None
    assert found.high is not None
    alone = drawn.mean(axis=1).std(ddof=1)
    assert found.se == pytest.approx(alone, rel=0.05)
    # The 5 % quantile of a chi-square of 2 degrees of freedom is -2 log 0.95, and t is 4.3027.
    expected = 2 * 4.3027 * sqrt(-np.log(0.95)) * alone
    assert found.high - found.low == pytest.approx(expected, rel=0.1)


@given(st.integers(2, 5), st.integers(0, 10**6), st.floats(0, 0.05))
def test_the_se_is_never_below_that_of_the_examples_alone(
    seeds: int, seed: int, of_seeds: float
) -> None:
    random = np.random.default_rng(seed)
    points = of_seeds * random.normal(size=seeds)
    drawn = points + 0.01 * random.normal(size=(60, seeds))
    found = difference(points, drawn, 100)
    assert found.se is not None
    assert found.se >= drawn.mean(axis=1).std(ddof=1) - 1e-12
    assert found.se >= points.std(ddof=1) / sqrt(seeds) - 1e-12


def test_degrees_of_freedom_lie_between_those_of_the_seeds_and_infinity() -> None:
    assert degrees_of_freedom(1.0, 0.0, seeds=5) == 4
    assert degrees_of_freedom(1.0, 3.0, seeds=5) == 16
    assert degrees_of_freedom(1.0, 3.0, seeds=2) == 2
    assert degrees_of_freedom(0.0, 1.0, seeds=5) == inf


def test_bad_calls_are_told() -> None:
    with pytest.raises(ValueError, match="must be one"):
        mcnemar([True, False], [True])
    for p in ([0.5, 1.5], [float("nan"), 0.5]):
        with pytest.raises(ValueError, match="between 0 and 1"):
            holm(p)
    with pytest.raises(ValueError, match=r"observed \(2,\) must be \[S\] and resampled"):
        difference([0.1, 0.2], np.zeros((R, 3)), 10)
    with pytest.raises(ValueError, match="NaN"):
        difference([0.1, np.nan], np.zeros((R, 2)), 10)
    with pytest.raises(ValueError, match="10 resamples are too few"):
        difference([0.1, 0.2], np.zeros((10, 2)), 10)


@pytest.mark.parametrize("only_first", [0, 1, 4, 10, 31])
@pytest.mark.parametrize("only_second", [0, 1, 7, 25])
def test_mcnemar_is_the_binomial_test_of_the_discordant(only_first: int, only_second: int) -> None:
    one = np.repeat([True, False, True, False], [only_first, only_second, 50, 9])
    other = np.repeat([False, True, True, False], [only_first, only_second, 50, 9])
    discordant = only_first + only_second
    expected = scipy_stats.binomtest(only_first, discordant).pvalue if discordant else 1.0
    assert mcnemar(one, other) == pytest.approx(expected, rel=1e-12)
    assert mcnemar(other, one) == mcnemar(one, other)


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=12))
def test_holm_is_closed_testing_by_bonferroni(p: list[float | None]) -> None:
    """A hypothesis falls at a level when Bonferroni rejects every intersection that it is in."""
    adjusted = holm(p)
    known = [at for at, value in enumerate(p) if value is not None]
    assert [at for at, value in enumerate(adjusted) if value is not None] == known
    values = np.array([p[at] for at in known], float)
    for at, value in zip(known, values, strict=True):
        rest = np.sort(np.delete(values, known.index(at)))[::-1]
        # Of intersections of one size, the hardest to reject is that of the largest other p.
        worst = max(
            (size + 1) * min([value, *rest[:size].tolist()]) for size in range(len(rest) + 1)
        )
        assert adjusted[at] == pytest.approx(min(1.0, worst))


def test_a_true_difference_of_the_detectable_size_is_shown_four_times_in_five() -> None:
    random, se = np.random.default_rng(0), 0.01
    estimates = minimum_detectable(se) + se * random.normal(size=20_000)
    assert (estimates / se > 1.959964).mean() == pytest.approx(0.8, abs=0.01)
