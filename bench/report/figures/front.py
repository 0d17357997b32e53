"""The Pareto front: what nothing else beats in both cost and value."""

from __future__ import annotations

import math
from collections.abc import Sequence


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Where the points lie that no other dominates, the cheapest first.

    Args:
        points: (cost, value); less cost and more value are better. Those that are not finite are
            passed over.

    Returns:
        Their places. A point is dominated by another that costs no more and is worth no less,
        unless both are equal: of equal points all are there.

    >>> front([(1, 70), (2, 69), (3, 72), (1, 60)])
    [0, 2]
    """
    there = [at for at, point in enumerate(points) if all(map(math.isfinite, point))]
    found: list[int] = []
    for at in sorted(there, key=lambda at: (points[at][0], -points[at][1])):
        if not found or points[at][1] > points[found[-1]][1] or points[at] == points[found[-1]]:
            found.append(at)
    return found
