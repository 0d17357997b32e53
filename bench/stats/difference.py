"""Is one method better than another: difference, interval, test, and what could have been seen.

Two things are drawn at random in a comparison: the seeds of training and the examples of the test
set. The test set is one for all seeds, so examples are crossed with seeds, not nested in them.
The interval adds both parts; docs/decisions/0014 has the formulas, and the coverage of this and
of other intervals on simulated data. All figures are shares (0 to 1), not points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, inf, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]

RESAMPLES = 10_000
"""Resamples of the test examples behind every interval."""

LEVEL = 0.05
"""1 - the coverage of an interval; a difference is shown when its (adjusted) p is below."""

POWER = 0.80
"""The chance with which the minimum detectable difference would be shown."""

FEWEST = 40
"""Fewer resamples leave nothing outside of a 95 % interval."""

MANY = 1e6
"""With more degrees of freedom, Student's t is the normal distribution."""

GOLDEN = (sqrt(5) - 1) / 2
"""Multiples of it modulo 1 fill the unit interval evenly."""

STRATA = 2000
"""Quantiles of a chi-square that are computed for an interval; more of them cost time only."""

ROUNDING = 1e-12
"""Differences below are rounding errors of metrics between -1 and 1: they count as 0."""


@dataclass(frozen=True)
class Difference:
    """The mean difference of two methods over seeds, in shares.

    Attributes:
        estimate: mean over seeds of the observed differences.
        low: lower end of the 95 % interval; None with one seed.
        high: its upper end; None with one seed.
        se: standard error of ``estimate``, of seeds and examples and never below that of the
            examples alone, which it is with one seed.
        p: two-sided; below 0.05 exactly when 0 is outside of [low, high]; None with one seed.
        detectable: the true difference that such a comparison would show with a chance of 80 %.
        sd: of the observed differences over seeds (ddof 1); None with one seed.
        seeds: number of seeds.
        examples: number of test examples.
    """

    estimate: float
    low: float | None
    high: float | None
    se: float | None
    p: float | None
    detectable: float | None
    sd: float | None
    seeds: int
    examples: int


def difference(
    observed: ArrayLike, resampled: ArrayLike, examples: int, seed: int = 0
) -> Difference:
    """The difference of two methods, paired on (seed, example).

    Args:
        observed: [S] metric of one method minus that of the other, for every seed.
        resampled: [R, S] the same on R resamples of the test examples; row r is one resample,
            the same for both methods and all seeds (:func:`bench.stats.bootstrap.replicates`).
        examples: number of test examples.
        seed: of the order in which the seeds' part meets the examples' part.

    Raises:
        ValueError: the shapes do not fit, a value is not finite, or R < 40.
    """
    points, drawn = np.asarray(observed, np.float64), np.asarray(resampled, np.float64)
    if points.ndim != 1 or drawn.ndim != 2 or not len(points) or drawn.shape[1] != len(points):
        raise ValueError(f"observed {points.shape} must be [S] and resampled {drawn.shape} [R, S]")
    if len(drawn) < FEWEST:
        raise ValueError(f"{len(drawn)} resamples are too few: at least {FEWEST}")
    if not (np.isfinite(points).all() and np.isfinite(drawn).all()):
        raise ValueError("a difference is NaN or infinite")
    estimate, seeds = float(points.mean()), len(points)
    if seeds == 1:
        se = float(drawn.std(ddof=1))
        shown = minimum_detectable(se)
        return Difference(estimate, None, None, se, None, shown, None, 1, examples)
    between = float(points.var(ddof=1)) / seeds
    of_pairs, of_examples = variances(drawn)
    guarded = max(between, _least(seeds) * of_pairs)
    low, high, p = _interval(_replicates(estimate, drawn, guarded, of_examples, seed))
    of_seeds = max(between, of_pairs)
    se, freedom = sqrt(of_seeds + of_examples), degrees_of_freedom(of_seeds, of_examples, seeds)
    return Difference(
        estimate=estimate,
        low=low,
        high=high,
        se=se,
        p=p,
        detectable=minimum_detectable(se, freedom),
        sd=float(points.std(ddof=1)),
        seeds=seeds,
        examples=examples,
    )


def variances(resampled: Floats) -> tuple[float, float]:
    """The variance of the mean over S seeds that the examples [R, S] explain: own, and shared.

    Chance on a (seed, example) pair is a seed's own; chance that all seeds share, as they answer
    the same examples, is the covariance of two seeds over the resamples. The variance of seeds
    over S holds the first beside that of training, so it plus the second is the unbiased variance
    of a mean in a crossed design.

    Args:
        resampled: [R, S], S > 1.
    """
    seeds = resampled.shape[1]
    covariance = np.cov(resampled, rowvar=False)
    whole = float(np.trace(covariance)) / seeds
    shared = (float(covariance.sum()) - seeds * whole) / (seeds * (seeds - 1))
    return max(0.0, whole - shared) / seeds, max(0.0, shared)


def _replicates(
    estimate: float, resampled: Floats, of_seeds: float, of_examples: float, seed: int
) -> Floats:
    """The estimate [2R] with other seeds and other examples."""
    seed_places, example_places = _places(len(resampled), seed)
    stretch = _stretch(
        degrees_of_freedom(of_seeds, of_examples, resampled.shape[1]), example_places
    )
    seeds_part = sqrt(of_seeds) * np.asarray(special.ndtri(seed_places), np.float64)
    examples_part = _scaled(resampled.mean(axis=1) - estimate, of_examples)
    # Both signs of the seeds' part: exchanging the methods then changes the sign, nothing else.
    return np.concatenate(
        [estimate + stretch * (examples_part + part) for part in (seeds_part, -seeds_part)]
    )


def _least(seeds: int) -> float:
    """The share of its expectation that a variance of S seeds exceeds in 19 of 20 cases.

    A few seeds may agree by luck. Where they agree more than the chance of their pairs with the
    examples allows in 19 of 20 cases, this share of that chance is taken instead.
    """
    return float(special.chdtri(seeds - 1, 0.95)) / (seeds - 1)


def degrees_of_freedom(of_seeds: float, of_examples: float, seeds: int) -> float:
    """Of the standard error: S - 1 where seeds decide, ever more as examples do.

    Welch and Satterthwaite square the quotient, which is too bold for a few seeds: their own
    variance is what decides on it.
    """
    if of_seeds <= 0:
        return inf
    power = 0.5 if seeds == 2 else 1.0
    return float((seeds - 1) * (1 + of_examples / of_seeds) ** power)


def _scaled(deviations: Floats, variance: float) -> Floats:
    """Deviations with another variance and the same shape."""
    present = float(deviations.var(ddof=1))
    return deviations * sqrt(variance / present) if present > 0 else deviations


@lru_cache(maxsize=4)
def _places(resamples: int, seed: int) -> tuple[Floats, Floats]:
    """Points [R], [R] spread evenly over the unit square (a lattice), in random order."""
    order = np.random.default_rng(seed).permutation(resamples)
    first = np.asarray((order + 0.5) / resamples, np.float64)
    second = np.asarray(order * GOLDEN % 1.0, np.float64)
    for part in (first, second):
        part.flags.writeable = False
    return first, second


def _stretch(freedom: float, places: Floats) -> Floats:
    """What makes Student's t of a normal variate: the variance itself is uncertain."""
    if freedom > MANY:
        return np.ones(len(places))
    strata = min(len(places), STRATA)
    squares = 2 * special.gammaincinv(freedom / 2, (np.arange(strata) + 0.5) / strata)
    factors = np.sqrt(freedom / np.asarray(squares, np.float64))
    return factors[(places * strata).astype(np.int64)]


def _interval(replicates: Floats) -> tuple[float, float, float]:
    """Percentile interval and two-sided p, made to agree: p < LEVEL if and only if 0 is outside."""
    values = np.where(np.abs(replicates) <= ROUNDING, 0.0, replicates)
    share = len(values) + 1
    outside = ceil(LEVEL / 2 * share) - 1
    ordered = np.partition(values, (outside - 1, len(values) - outside))
    low, high = float(ordered[outside - 1]), float(ordered[len(values) - outside])
    fewer = min(int(np.count_nonzero(values <= 0)), int(np.count_nonzero(values >= 0)))
    return low, high, min(1.0, 2 * (1 + fewer) / share)


def minimum_detectable(
    se: float, freedom: float = inf, *, power: float = POWER, level: float = LEVEL
) -> float:
    """The true difference that is shown (p < 0.05, two-sided) with a chance of 80 %.

    Args:
        se: standard error of the difference.
        freedom: its degrees of freedom; infinite for the normal distribution.
        power: another chance.
        level: another limit of p.

    >>> round(minimum_detectable(0.01), 4), round(minimum_detectable(0.01, 2), 4)
    (0.028, 0.0536)
    """
    return se * (quantile(1 - level / 2, freedom) + quantile(power, freedom))


def quantile(share: float, freedom: float = inf) -> float:
    """The value below which a ``share`` of Student's t lies; of infinite degrees, of the normal."""
    value = special.ndtri(share) if freedom == inf else special.stdtrit(freedom, share)
    return float(value)


def mcnemar(first: ArrayLike, second: ArrayLike) -> float:
    """McNemar's exact test of one pair of students, two-sided.

    Args:
        first: [N] whether the first student is right.
        second: [N] whether the second is.

    Returns:
        The chance of so uneven a split of the examples on which exactly one is right; 1 where
        there are none. It says nothing about another seed of either method.

    Raises:
        ValueError: the shapes differ.

    >>> mcnemar([True] * 9 + [False], [False] * 9 + [True])
    0.021484375
    """
    right, also = np.asarray(first, bool), np.asarray(second, bool)
    if right.shape != also.shape or right.ndim != 1:
        raise ValueError(f"{right.shape} and {also.shape} must be one [N]")
    only_first = int(np.count_nonzero(right & ~also))
    only_second = int(np.count_nonzero(also & ~right))
    fewer, discordant = min(only_first, only_second), only_first + only_second
    return min(1.0, 2 * float(special.bdtr(fewer, discordant, 0.5)))


def holm(p: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment: below 0.05 with 5 % chance of any false one in the table.

    None (no test was made) stays None and is not counted.

    Raises:
        ValueError: a p is not between 0 and 1.

    >>> holm([0.01, None, 0.04, 0.03])
    [0.03, None, 0.06, 0.06]
    """
    known = sorted((value, at) for at, value in enumerate(p) if value is not None)
    if any(not 0 <= value <= 1 for value, _ in known):
        raise ValueError(f"p must be between 0 and 1, not {[value for value, _ in known]}")
    adjusted: list[float | None] = [None] * len(p)
    least = 0.0
    for place, (value, at) in enumerate(known):
        least = max(least, min(1.0, (len(known) - place) * value))
        adjusted[at] = least
    return adjusted
