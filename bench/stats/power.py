"""What a plan can see: the chance of showing a difference, with so many test rows and seeds.

The variance is that of :mod:`bench.stats.difference`, taken apart so that other numbers of rows and
seeds can be put in. With S seeds and n rows that all seeds answer, the mean difference has

    variance = (training + own / n) / S + shared / n

where *training* is the variance of the true difference between seeds, *shared* that of a row over
what all seeds have in common on it, *own* the rest of a row's variance. Two students that disagree
on a share d of the rows (exactly one is right) and differ by delta have own + shared = d - delta²,
the variance behind McNemar's test. All figures are shares (0 to 1), not points.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from bench.stats.difference import (
    LEVEL,
    POWER,
    degrees_of_freedom,
    minimum_detectable,
    quantile,
    variances,
)

FEWEST = 2
"""Seeds of a plan: one has no interval and no test."""

CAUTION = 0.80
"""Confidence of the limit that training's variance of a pilot is taken at, to be cautious.

A few seeds may agree by luck, and few rows hide what training varies. After Browne (1995), "On the
use of a pilot sample for sample size determination": with it, a plan keeps its promise in most
cases instead of in every second.
"""

MOST_ROWS, MOST_SEEDS = 10**9, 10_000
"""Where a search for the rows or seeds that a difference needs gives up."""


@dataclass(frozen=True)
class Spread:
    """Where the chance in a difference of two arms comes from.

    Attributes:
        training: variance of the true difference between seeds.
        own: variance of one row that a seed does not share with others.
        shared: variance of one row that all seeds share.
    """

    training: float
    own: float
    shared: float


def of_disagreement(
    disagreement: float, difference: float = 0.0, training_sd: float = 0.0
) -> Spread:
    """The spread of two arms that disagree on a share of the rows, without a pilot.

    All seeds are taken to disagree on the same rows, the worst case: more seeds then help against
    training's variance only.

    Args:
        disagreement: share of rows on which exactly one arm is right.
        difference: of their accuracies.
        training_sd: standard deviation of the true difference between seeds.

    Raises:
        ValueError: arms that differ by more than they disagree, or shares that are none.

    >>> of_disagreement(0.05, 0.01)
    Spread(training=0.0, own=0.0, shared=0.0499)
    """
    if not abs(difference) <= disagreement <= 1:
        raise ValueError(
            f"a disagreement of {disagreement:g} must be between the difference, "
            f"{abs(difference):g}, and 1"
        )
    return Spread(training_sd**2, 0.0, disagreement - difference**2)


def of_pilot(
    observed: ArrayLike, resampled: ArrayLike, rows: int, *, confidence: float | None = None
) -> Spread:
    """The spread that a pilot of S > 1 seeds shows.

    Its own numbers of rows and seeds put in, :func:`detectable` is what
    :func:`bench.stats.difference.difference` calls detectable.

    Args:
        observed: [S] difference of the two arms, for every seed.
        resampled: [R, S] the same on R resamples of the rows, each the same for all seeds.
        rows: number of test rows.
        confidence: with which training's variance is no larger; without it, it is the estimate.

    Raises:
        ValueError: fewer than two seeds.
    """
    points, drawn = np.asarray(observed, np.float64), np.asarray(resampled, np.float64)
    seeds = len(points)
    if seeds < FEWEST:
        raise ValueError("one seed does not tell how another would have done")
    of_pairs, of_rows = variances(drawn)
    own = of_pairs * seeds
    of_seed = float(points.var(ddof=1))
    if confidence is not None:
        of_seed *= (seeds - 1) / float(special.chdtri(seeds - 1, confidence))
    return Spread(max(0.0, of_seed - own), own * rows, of_rows * rows)


def standard_error(spread: Spread, rows: int, seeds: int) -> tuple[float, float]:
    """The standard error of the mean difference, and its degrees of freedom.

    Raises:
        ValueError: no rows, or fewer than two seeds.
    """
    if rows < 1 or seeds < FEWEST:
        raise ValueError(f"{rows} rows and {seeds} seeds: at least 1 and {FEWEST} are needed")
    of_seeds, of_rows = (spread.training + spread.own / rows) / seeds, spread.shared / rows
    return sqrt(of_seeds + of_rows), degrees_of_freedom(of_seeds, of_rows, seeds)


def detectable(
    spread: Spread, rows: int, seeds: int, *, power: float = POWER, level: float = LEVEL
) -> float:
    """The true difference that the plan shows (p < ``level``) with a chance of ``power``.

    >>> round(detectable(of_disagreement(0.04), rows=20_000, seeds=5), 5)
    0.00396
    """
    return minimum_detectable(*standard_error(spread, rows, seeds), power=power, level=level)


def chance(
    spread: Spread, difference: float, rows: int, seeds: int, *, level: float = LEVEL
) -> float:
    """The chance that the plan shows a true ``difference``, in its direction.

    >>> plan = of_disagreement(0.04), detectable(of_disagreement(0.04), 5000, 3)
    >>> round(chance(*plan, rows=5000, seeds=3), 6)
    0.8
    """
    se, freedom = standard_error(spread, rows, seeds)
    if se == 0:
        return 1.0 if difference else 0.0
    beyond = abs(difference) / se - quantile(1 - level / 2, freedom)
    normal = freedom == float("inf")
    return float(special.ndtr(beyond) if normal else special.stdtr(freedom, beyond))


def rows_needed(
    spread: Spread, difference: float, seeds: int, *, power: float = POWER, level: float = LEVEL
) -> int | None:
    """The fewest test rows with which ``seeds`` see a difference; None if no number is enough.

    No number is where training's own variance is too large for so few seeds.
    """

    def seen(rows: int) -> bool:
        return detectable(spread, rows, seeds, power=power, level=level) <= abs(difference)

    return _first(seen, 1, MOST_ROWS)


def seeds_needed(
    spread: Spread, difference: float, rows: int, *, power: float = POWER, level: float = LEVEL
) -> int | None:
    """The fewest seeds that see a difference on ``rows``; None if no number is enough.

    No number is where the rows are too few for what all seeds share.
    """

    def seen(seeds: int) -> bool:
        return detectable(spread, rows, seeds, power=power, level=level) <= abs(difference)

    return _first(seen, FEWEST, MOST_SEEDS)


def _first(holds: Callable[[int], bool], least: int, most: int) -> int | None:
    """The first number from ``least`` to ``most`` that holds, searched in steps of a tenth."""
    below = least - 1
    for number in _steps(least, most):
        if holds(number):
            while number - below > 1:
                middle = (number + below) // 2
                number, below = (middle, below) if holds(middle) else (number, middle)
            return number
        below = number
    return None


def _steps(least: int, most: int) -> Iterator[int]:
    number = least
    while number <= most:
        yield number
        number = max(number + 1, number * 11 // 10)
