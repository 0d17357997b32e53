"""On simulated data the 95 % interval covers, and the test errs, as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from bench.resampled import counts
from bench.stats import difference
from tests.bench.simulated import WORLDS, World, on_resamples

RESAMPLES = 600


def outside(world: World, seeds: int, examples: int, sims: int, seed: int = 0) -> float:
    """Share of simulations whose interval does not hold the true difference.

    It is the false-positive rate of the test too: p < 0.05 exactly when 0 is outside.
    """
    drawn = counts(examples, RESAMPLES, seed=seed)
    missed = 0
    for start in range(0, sims, 250):
        values = world.draw(min(250, sims - start), seeds, examples, seed=seed + start)
        for points, replicates in zip(*on_resamples(values, drawn), strict=True):
            found = difference(points, replicates, examples)
            assert found.low is not None
            assert found.high is not None
            assert found.p is not None
            missed += not found.low <= world.true <= found.high
            assert (found.p < 0.05) == (not found.low <= 0 <= found.high)
    return missed / sims


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("world", [WORLDS[at] for at in (1, 2, 3, 5)], ids=lambda w: w.name)
def test_intervals_cover_and_tests_err_as_they_say(world: World, seeds: int) -> None:
    found = outside(world, seeds, examples=277, sims=1500)
    assert 0.03 <= found <= 0.06
    # With the chances of a right procedure: 95 % intervals that cover 93 to 97 %, and at most
    # 6 % false positives.


@pytest.mark.slow
@pytest.mark.parametrize("examples", [277, 1000])
@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_every_balance_of_seeds_and_examples(world: World, seeds: int, examples: int) -> None:
    found = outside(world, seeds, examples, sims=4000, seed=1)
    assert 0.03 <= found <= 0.06


@pytest.mark.slow
def test_two_seeds_are_wide_but_right() -> None:
    assert 0.0 < outside(WORLDS[3], seeds=2, examples=277, sims=2000) <= 0.06


def test_an_interval_that_ignores_seeds_would_fail_here() -> None:
    """The simulation can tell: examples alone cover far less than they say."""
    world, seeds, examples = WORLDS[1], 5, 277
    values = world.draw(400, seeds, examples)
    points, replicates = on_resamples(values, counts(examples, RESAMPLES))
    ends = np.quantile(replicates.mean(axis=2), [0.025, 0.975], axis=1)
    missed = (ends[0] > world.true) | (world.true > ends[1])
    assert missed.mean() > 0.15
    assert points.shape == (400, seeds)
