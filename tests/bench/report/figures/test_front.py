"""The Pareto front against the definition, tried on every pair."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from bench.report.figures.front import front

# Few distinct values: ties are what goes wrong.
points = st.lists(st.tuples(*[st.integers(0, 6).map(float)] * 2), max_size=25)


def dominated(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return other[0] <= one[0] and other[1] >= one[1] and other != one


@given(points)
def test_it_is_what_no_other_point_dominates(found: list[tuple[float, float]]) -> None:
    expected = {
        at for at, one in enumerate(found) if not any(dominated(one, other) for other in found)
    }
    assert set(front(found)) == expected
    assert len(front(found)) == len(expected)


@given(points)
def test_it_rises_with_cost(found: list[tuple[float, float]]) -> None:
    kept = [found[at] for at in front(found)]
    assert kept == sorted(kept)


@given(points, st.randoms())
def test_the_order_of_the_points_does_not_matter(
    found: list[tuple[float, float]], random: object
) -> None:
    mixed = list(found)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert sorted(found[at] for at in front(found)) == sorted(mixed[at] for at in front(mixed))


def test_what_is_not_a_number_is_passed_over() -> None:
    assert front([(math.nan, 9.0), (1.0, math.nan), (2.0, 1.0), (math.inf, 9.0)]) == [2]
    assert front([]) == []
