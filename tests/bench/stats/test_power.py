"""What a plan can see: closed forms, and the power that is promised on simulated comparisons."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stats import bootstrap, power
from bench.stats.difference import difference
from bench.stats.power import Spread
from tests.bench.simulated import World, on_resamples

Z = 1.959964 + 0.841621

spreads = st.builds(
    Spread, training=st.floats(0, 1e-4), own=st.floats(1e-4, 0.2), shared=st.floats(1e-4, 0.2)
)


def pilot(seeds: int, rows: int, shared: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Observed [S] and resampled [R, S] differences of two arms."""
    world = World("", disagree=0.2, seeds=0.02, shared=shared, true=0.02)
    drawn = on_resamples(world.draw(1, seeds, rows), bootstrap.counts(rows, 2000))
    return drawn[0][0], drawn[1][0]


@pytest.mark.parametrize("rows", [100, 20_000])
def test_without_training_it_is_the_variance_behind_mcnemars_test(rows: int) -> None:
    spread = power.of_disagreement(0.05, 0.01)
    se, freedom = power.standard_error(spread, rows, 3)
    assert se == pytest.approx(sqrt((0.05 - 0.01**2) / rows))
    assert freedom == float("inf")
    assert power.detectable(spread, rows, 3) == pytest.approx(Z * se, rel=1e-5)


def test_with_endless_rows_it_is_the_variance_of_training() -> None:
    spread = power.of_disagreement(0.05, training_sd=0.004)
    se, freedom = power.standard_error(spread, 10**12, 4)
    assert se == pytest.approx(0.002, rel=1e-4)
    assert freedom == pytest.approx(3, rel=1e-4)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_a_pilot_put_in_again_sees_what_its_comparison_says(seeds: int) -> None:
    observed, resampled = pilot(seeds, 200)
    spread = power.of_pilot(observed, resampled, 200)
    found = difference(observed, resampled, 200)
    assert power.standard_error(spread, 200, seeds)[0] == pytest.approx(found.se)
    assert power.detectable(spread, 200, seeds) == pytest.approx(found.detectable)


def test_the_limit_of_trainings_variance_is_kept_as_often_as_its_confidence() -> None:
    rows, seeds, true = 400, 3, 0.03
    world = World("", disagree=0.2, seeds=true, shared=0.0)
    drawn = on_resamples(world.draw(600, seeds, rows), bootstrap.counts(rows, 400))
    limits = [
        power.of_pilot(points, resampled, rows, confidence=power.CAUTION).training
        for points, resampled in zip(*drawn, strict=True)
    ]
    assert np.mean(np.array(limits) >= true**2) == pytest.approx(power.CAUTION, abs=0.05)


def test_of_accuracies_a_row_varies_as_its_disagreement_says() -> None:
    rows = 1000
    drawn = World("", disagree=0.2, seeds=0.0, shared=0.5, true=0.02).draw(1, 4, rows)[0]
    resampled = bootstrap.counts(rows, 4000) @ drawn.T / rows
    spread = power.of_pilot(drawn.mean(axis=1), resampled, rows)
    disagreement, delta = np.abs(drawn).mean(axis=1), drawn.mean(axis=1)
    assert spread.own + spread.shared == pytest.approx(np.mean(disagreement - delta**2), rel=0.05)
    covariance = np.cov(drawn, ddof=0)
    between = (covariance.sum() - np.trace(covariance)) / (4 * 3)
    assert spread.shared == pytest.approx(between, rel=0.1)


@given(spreads, st.integers(50, 50_000), st.integers(2, 10), st.floats(0.5, 0.95))
def test_chance_and_detectable_difference_are_inverse(
    spread: Spread, rows: int, seeds: int, wanted: float
) -> None:
    seen = power.detectable(spread, rows, seeds, power=wanted)
    assert power.chance(spread, seen, rows, seeds) == pytest.approx(wanted, abs=1e-6)
    assert power.chance(spread, -seen, rows, seeds) == pytest.approx(wanted, abs=1e-6)
    assert power.detectable(spread, rows, seeds, power=wanted, level=0.01) > seen


@given(spreads, st.integers(3, 8), st.floats(0.003, 0.05))
def test_the_rows_that_are_needed_are_enough_and_one_less_is_not(
    spread: Spread, seeds: int, wanted: float
) -> None:
    rows = power.rows_needed(spread, wanted, seeds)
    if rows is None:
        assert power.detectable(spread, 10**9, seeds) > wanted
        return
    assert power.detectable(spread, rows, seeds) <= wanted
    assert rows == 1 or power.detectable(spread, rows - 1, seeds) > wanted


@given(spreads, st.integers(500, 50_000), st.floats(0.003, 0.05))
def test_so_are_the_seeds(spread: Spread, rows: int, wanted: float) -> None:
    seeds = power.seeds_needed(spread, wanted, rows)
    if seeds is None:
        assert sqrt(spread.shared / rows) * Z >= wanted * 0.99
        return
    assert power.detectable(spread, rows, seeds) <= wanted
    assert seeds == 2 or power.detectable(spread, rows, seeds - 1) > wanted


@pytest.mark.parametrize(
    ("seeds", "of_training", "shared"), [(3, 0.01, 0.3), (5, 0.0, 0.8), (5, 0.02, 0.0)]
)
def test_the_difference_is_shown_as_often_as_promised(
    seeds: int, of_training: float, shared: float
) -> None:
    sims, rows, disagree = 600, 400, 0.2
    row = disagree
    for _ in range(2):  # the variance of a row depends a little on the difference
        spread = Spread(of_training**2, (1 - shared) * row, shared * row)
        true = power.detectable(spread, rows, seeds)
        row = disagree - true**2
    world = World("", disagree=disagree, seeds=of_training, shared=shared, true=true)
    drawn = on_resamples(world.draw(sims, seeds, rows, seed=1), bootstrap.counts(rows, 400))
    found = [difference(points, resampled, rows) for points, resampled in zip(*drawn, strict=True)]
    shown = sum(f.p is not None and f.p < 0.05 and f.estimate > 0 for f in found)
    assert shown / sims == pytest.approx(0.8, abs=0.05)  # 3 standard errors of 600 simulations


@pytest.mark.parametrize(
    "call",
    [
        lambda: power.of_pilot([0.1], np.zeros((50, 1)), 10),
        lambda: power.of_disagreement(0.01, 0.02),
        lambda: power.of_disagreement(1.2),
        lambda: power.detectable(Spread(0, 0, 0), 10, 1),
        lambda: power.detectable(Spread(0, 0, 0), 0, 2),
    ],
)
def test_what_makes_no_plan_is_told(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"seed|disagreement"):
        call()


def test_arms_that_never_differ_see_nothing_of_no_difference() -> None:
    assert power.chance(Spread(0, 0, 0), 0.0, 10, 2) == 0
    assert power.chance(Spread(0, 0, 0), 0.01, 10, 2) == 1
