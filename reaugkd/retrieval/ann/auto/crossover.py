"""From measured times to a choice: what a search costs at any size, and where a graph overtakes.

Exact search looks at every entry: ``a + c n``. A graph walks: ``s n^p`` with p well below 1. That
fits measured times better than ``a + c log n``, because from size to size more effort is needed for
the same recall and less of the graph is in the caches (docs/decisions/0012). All graphs share one p
per batch: two sizes a factor of three apart say little about one graph's own growth, while their
levels, which differ, are measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from reaugkd.retrieval.ann.auto.search_times import Measured, Point

MOST_GROWTH = 0.9
"""Highest exponent of a graph: below 1, so that exact search always falls behind in the end."""

HORIZON = 10**10
"""No crossover is looked for beyond this size."""


@dataclass(frozen=True)
class Cost:
    """Microseconds of a call at n entries: ``fixed + per_entry n + sum of scale n^exponent``.

    Attributes:
        fixed, per_entry: of exact search.
        powers: pairs of scale and exponent, of a graph.
    """

    fixed: float = 0.0
    per_entry: float = 0.0
    powers: tuple[tuple[float, float], ...] = ()

    def __call__(self, size: float) -> float:
        """Microseconds at ``size`` entries."""
        walked = sum(scale * math.pow(size, exponent) for scale, exponent in self.powers)
        return self.fixed + self.per_entry * size + walked

    def slope(self, size: float) -> float:
        """Microseconds that one more entry costs at ``size`` entries."""
        walked = sum(scale * e * math.pow(size, e - 1) for scale, e in self.powers)
        return self.per_entry + walked

    def __str__(self) -> str:
        terms = [f"{scale:.4g} n^{exponent:.3g}" for scale, exponent in self.powers]
        return " + ".join(terms or [f"{self.fixed:.4g}", f"{self.per_entry:.4g} n"])

    def times(self, weight: float) -> Cost:
        """This cost, ``weight`` times."""
        powers = tuple((weight * scale, exponent) for scale, exponent in self.powers)
        return Cost(weight * self.fixed, weight * self.per_entry, powers)

    def plus(self, other: Cost) -> Cost:
        """Both costs together."""
        fixed, per_entry = self.fixed + other.fixed, self.per_entry + other.per_entry
        return Cost(fixed, per_entry, self.powers + other.powers)


def costs(measured: Sequence[Measured], batch: int) -> dict[str, Cost]:
    """The fitted cost of a call with ``batch`` queries, for each usable candidate.

    Between two measured batches the time of a call is interpolated, beyond the largest it grows in
    proportion to the batch.
    """
    graphs = [one for one in measured if one.usable and one.spec != "exact"]
    found = {}
    for one in measured:
        if one.usable:
            fits = {
                of: _line(at) if one.spec == "exact" else _power(at, growth(graphs, of))
                for of, at in _by_batch(one).items()
            }
            found[one.spec] = _between(fits, batch)
    return found


def growth(graphs: Sequence[Measured], batch: int) -> float:
    """The exponent that all graphs share at ``batch``: the median of their own."""
    slopes = []
    for one in graphs:
        at = _by_batch(one).get(batch, [])
        logs = np.log([[point.size, point.microseconds] for point in at])
        if len({point.size for point in at}) > 1:
            slopes.append(float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0]))
    return float(np.clip(np.median(slopes), 0.0, MOST_GROWTH)) if slopes else 0.0


def crossover(found: Mapping[str, Cost]) -> int | None:
    """The largest size up to which exact search is chosen; None where there is no graph.

    Exact grows in a line and the fastest graph slower and slower, so the sizes at which exact is
    the faster lie in one piece, and beyond its end a graph wins for good. Below its beginning, if
    it has one, only fixed costs of a call differ: exact, which never misses, is chosen there too.
    """
    exact, graphs = found["exact"], [found[spec] for spec in found if spec != "exact"]
    if not graphs:
        return None

    def best(size: int) -> Cost:
        return min(graphs, key=lambda cost: cost(size))

    def ahead(size: int) -> bool:
        return exact(size) <= best(size)(size)

    # Where the lead of exact search is largest: from there on it only shrinks.
    peak = _last(lambda size: exact.slope(size) <= best(size).slope(size), 1)
    if not ahead(peak):
        return 0
    return _last(ahead, peak)


def fastest(found: Mapping[str, Cost], size: int) -> str:
    """Exact up to the crossover, beyond it the graph that costs least at ``size``."""
    end = crossover(found)
    if end is None or size <= end:
        return "exact"
    graphs = [spec for spec in found if spec != "exact"]
    return min(graphs, key=lambda spec: found[spec](size))


def _last(holds: Callable[[int], bool], first: int) -> int:
    """The last size from ``first`` on at which ``holds``, which once it fails never holds again.

    ``first`` if it holds nowhere, :data:`HORIZON` if everywhere.
    """
    low, high = first, HORIZON
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return high if holds(high) else low


def _by_batch(one: Measured) -> dict[int, list[Point]]:
    batches = sorted({point.batch for point in one.points})
    return {batch: [p for p in one.points if p.batch == batch] for batch in batches}


def _line(at: Sequence[Point]) -> Cost:
    """Least squares of relative errors, neither part negative: a small size counts as a large."""
    times = np.array([point.microseconds for point in at])
    sizes = np.array([point.size for point in at], float)
    columns = np.stack([1 / times, sizes / times], axis=1)
    (fixed, per_entry), *_ = np.linalg.lstsq(columns, np.ones(len(at)), rcond=None)
    if fixed < 0 or per_entry <= 0:
        fixed, per_entry = 0.0, columns[:, 1].sum() / (columns[:, 1] ** 2).sum()
    return Cost(fixed=float(fixed), per_entry=float(per_entry))


def _power(at: Sequence[Point], exponent: float) -> Cost:
    """The level of a graph: the geometric mean over the sizes."""
    logs = [math.log(point.microseconds) - exponent * math.log(point.size) for point in at]
    return Cost(powers=((math.exp(sum(logs) / len(logs)), exponent),))


def _between(fits: Mapping[int, Cost], batch: int) -> Cost:
    """The cost at ``batch`` from those at the measured batches, which are in increasing order."""
    if batch in fits:
        return fits[batch]
    first, last = min(fits), max(fits)
    if batch > last:
        return fits[last].times(batch / last)
    if batch < first:
        return fits[first]
    low, high = next(pair for pair in pairwise(fits) if pair[0] < batch < pair[1])
    part = (batch - low) / (high - low)
    return fits[low].times(1 - part).plus(fits[high].times(part))
