"""On simulated data the 95 % interval covers, and the test errs, as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.stats.bootstrap import counts
from bench.stats.difference import difference
from tests.bench.simulated import WORLDS, World, on_resamples

RESAMPLES = 600


def of_truth(world: World, seeds: int, examples: int, sims: int) -> NDArray[np.float64]:
    """p [sims] of the hypothesis that the difference is what it truly is.

    The share below 0.05 is the test's rate of false positives. It is also the share of intervals
    that miss the truth, as p < 0.05 exactly when the interval does.
    """
    drawn, found = counts(examples, RESAMPLES), []
    for start in range(0, sims, 200):
        values = world.draw(min(200, sims - start), seeds, examples, seed=start)
        for points, replicates in zip(*on_resamples(values, drawn), strict=True):
            from_truth = difference(points - world.true, replicates - world.true, examples)
            assert from_truth.low is not None
            assert from_truth.high is not None
            assert from_truth.p is not None
            assert (from_truth.p < 0.05) == (not from_truth.low <= 0 <= from_truth.high)
            found.append(from_truth.p)
    return np.array(found)


def most(world: World) -> float:
    """95 % intervals cover 93 to 97 %; a test without a true difference errs at most 6 %."""
    return 0.07 if world.true else 0.06


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("world", [WORLDS[at] for at in (1, 2, 3, 5)], ids=lambda w: w.name)
def test_intervals_cover_and_tests_err_as_they_say(world: World, seeds: int) -> None:
    missed = (of_truth(world, seeds, examples=277, sims=800) < 0.05).mean()
    assert 0.03 <= missed <= most(world)


@pytest.mark.slow
@pytest.mark.parametrize("examples", [277, 1000])
@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_every_balance_of_seeds_and_examples(world: World, seeds: int, examples: int) -> None:
    found = of_truth(world, seeds, examples, sims=1500)
    assert 0.03 <= (found < 0.05).mean() <= most(world)
    # Where Holm's correction looks: three seeds are rough, ten are not.
    assert (found < 0.005).mean() <= {3: 0.02, 5: 0.012, 10: 0.01}[seeds]


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_two_seeds_are_rougher(world: World) -> None:
    assert 0.005 <= (of_truth(world, seeds=2, examples=277, sims=1500) < 0.05).mean() <= 0.08


def test_an_interval_that_ignores_seeds_would_fail_here() -> None:
    """The simulation can tell: examples alone cover far less than they say."""
    world, seeds, examples = WORLDS[1], 5, 277
    _, replicates = on_resamples(
        world.draw(400, seeds, examples), counts(examples, RESAMPLES, seed=1)
    )
    ends = np.quantile(replicates.mean(axis=2), [0.025, 0.975], axis=1)
    missed = (ends[0] > world.true) | (world.true > ends[1])
    assert missed.mean() > 0.15
