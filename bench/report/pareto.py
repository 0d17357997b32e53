"""The Pareto front: what is worth its cost."""

from __future__ import annotations

from collections.abc import Sequence

Place = tuple[float | None, float | None]
"""Cost and worth; None where it is not known."""


def front(places: Sequence[Place]) -> list[bool]:
    """Whether no other place dominates each: costs no more and is worth no less.

    Of equal places all stay; one without a cost or a worth is on no front.

    >>> front([(1.0, 0.8), (2.0, 0.8), (2.0, 0.9), (None, 1.0)])
    [True, False, True, False]
    """
    known = [(cost, worth) for cost, worth in places if cost is not None and worth is not None]
    return [
        (cost, worth) in known
        and not any(
            c <= cost and w >= worth and (c, w) != (cost, worth)  # type: ignore[operator]
            for c, w in known
        )
        for cost, worth in places
    ]
