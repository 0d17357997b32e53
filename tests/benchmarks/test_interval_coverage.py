"""Coverage and width of intervals for a difference over seeds and examples, the usual ones too.

``pytest -s -m "" tests/benchmarks/test_interval_coverage.py`` prints the table of decision 0014.
Nothing is timed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from bench.stats.bootstrap import counts
from bench.stats.difference import difference, variances
from tests.bench.simulated import WORLDS, World, on_resamples

RESAMPLES, SIMS = 600, 1500
Array = NDArray[np.float64]
Interval = Callable[[Array, Array, Array, np.random.Generator], tuple[float, float]]
"""From differences [S, N], their means [S] and on resamples [R, S] to a low and a high end."""


def ends(replicates: Array) -> tuple[float, float]:
    low, high = np.quantile(replicates, [0.025, 0.975])
    return float(low), float(high)


def nested(
    values: Array, points: Array, drawn: Array, random: np.random.Generator
) -> tuple[float, float]:
    """Seeds, then for each drawn seed examples of its own."""
    seeds = len(points)
    chosen = random.integers(0, seeds, (len(drawn), seeds))
    own = random.permuted(np.tile(np.arange(len(drawn))[:, None], seeds), axis=0)
    return ends(drawn[own, chosen].mean(axis=1))


def crossed(
    values: Array, points: Array, drawn: Array, random: np.random.Generator
) -> tuple[float, float]:
    """The pigeonhole bootstrap (Owen 2007): seeds and examples drawn independently, crossed."""
    chosen = random.integers(0, len(points), drawn.shape)
    return ends(np.take_along_axis(drawn, chosen, axis=1).mean(axis=1))


def examples_alone(
    values: Array, points: Array, drawn: Array, random: np.random.Generator
) -> tuple[float, float]:
    """Only the examples are drawn; the seeds are taken as all that there are."""
    return ends(drawn.mean(axis=1))


def seeds_alone(
    values: Array, points: Array, drawn: Array, random: np.random.Generator
) -> tuple[float, float]:
    """Student's t over seeds; the test set is taken as all that there is."""
    seeds = len(points)
    half = special.stdtrit(seeds - 1, 0.975) * points.std(ddof=1) / np.sqrt(seeds)
    return float(points.mean() - half), float(points.mean() + half)


def shrunken(
    values: Array, points: Array, drawn: Array, random: np.random.Generator
) -> tuple[float, float]:
    """Examples, plus seeds drawn with replacement, shrunken and widened by t / z."""
    seeds = len(points)
    covariance = np.cov(drawn, rowvar=False)
    pairs = (np.trace(covariance) * seeds - covariance.sum()) / (seeds * (seeds - 1))
    variance = points.var(ddof=1)
    share = max(0.0, 1 - pairs / variance) if variance > 0 else 0.0
    wide = special.stdtrit(seeds - 1, 0.975) / special.ndtri(0.975)
    chosen = points[random.integers(0, seeds, drawn.shape)] - points.mean()
    part = chosen.mean(axis=1) * np.sqrt(share * seeds / (seeds - 1)) * wide
    return ends(drawn.mean(axis=1) + part)


def welch(
    values: Array, points: Array, drawn: Array, random: np.random.Generator
) -> tuple[float, float]:
    """Both variances as ours, with the degrees of freedom of Welch and Satterthwaite."""
    of_seeds, (_, of_examples) = points.var(ddof=1) / len(points), variances(drawn)
    whole = of_seeds + of_examples
    freedom = (len(points) - 1) * (whole / of_seeds) ** 2 if of_seeds > 0 else np.inf
    half = special.stdtrit(min(freedom, 1e6), 0.975) * np.sqrt(whole)
    return float(points.mean() - half), float(points.mean() + half)


def ours(
    values: Array, points: Array, drawn: Array, random: np.random.Generator
) -> tuple[float, float]:
    """What the report uses."""
    found = difference(points, drawn, values.shape[1])
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


INTERVALS: tuple[Interval, ...] = (
    seeds_alone,
    examples_alone,
    nested,
    crossed,
    shrunken,
    welch,
    ours,
)


def measured(world: World, seeds: int, examples: int) -> dict[str, tuple[float, float]]:
    """Coverage in percent and mean half width in points of every interval."""
    random, weights = np.random.default_rng(0), counts(examples, RESAMPLES)
    covered: dict[str, list[bool]] = {each.__name__: [] for each in INTERVALS}
    halves: dict[str, list[float]] = {each.__name__: [] for each in INTERVALS}
    for start in range(0, SIMS, 250):
        values = world.draw(250, seeds, examples, seed=start)
        for drawn in zip(values, *on_resamples(values, weights), strict=True):
            for interval in INTERVALS:
                low, high = interval(*(np.asarray(part, np.float64) for part in drawn), random)
                covered[interval.__name__].append(low <= world.true <= high)
                halves[interval.__name__].append((high - low) / 2)
    return {
        name: (100 * float(np.mean(covered[name])), 100 * float(np.mean(halves[name])))
        for name in covered
    }


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_ours_covers_where_the_usual_ones_do_not(seeds: int) -> None:
    print(f"\n{seeds} seeds: coverage in percent (mean half width in points)")
    print("".join(f"{each.__name__:>16}" for each in INTERVALS))
    worst = dict.fromkeys((each.__name__ for each in INTERVALS), 100.0)
    for world in WORLDS:
        for examples in (277, 1000):
            found = measured(world, seeds, examples)
            shown = (f"{cover:.1f} ({half:.2f})" for cover, half in found.values())
            print("".join(f"{text:>16}" for text in shown), f" {world.name}, {examples}")
            worst = {name: min(worst[name], found[name][0]) for name in worst}
            assert 93 <= found["ours"][0] <= 97
    assert max(worst, key=lambda name: worst[name]) == "ours"
