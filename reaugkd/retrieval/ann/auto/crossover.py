"""From measured times to a choice: what a search costs at any size, and where a graph overtakes.

Exact search looks at every entry: ``a + c n``. A graph walks: ``s n^p`` with p well below 1. That
fits measured times better than ``a + c log n``, because from size to size more effort is needed for
the same recall and less of the graph is in the caches (docs/decisions/0012). All graphs share one p
per batch: two sizes a factor of three apart say little about one graph's own growth, while their
levels, which differ, are measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reaugkd.retrieval.ann.auto.search_times import Candidate

MOST_GROWTH = 0.9
"""Highest exponent of a graph: below 1, so that exact search always falls behind in the end."""

HORIZON = 10**10
"""No crossover is looked for beyond this size."""


@dataclass(frozen=True)
class SearchCost:
    """Microseconds of a call at n entries: ``fixed + per_entry n``, or ``scale n^exponent``."""

    fixed: float = 0.0
    per_entry: float = 0.0
    scale: float = 0.0
    exponent: float = 0.0

    def __call__(self, size: float) -> float:
        """Microseconds at ``size`` entries."""
        return self.fixed + self.per_entry * size + self.scale * math.pow(size, self.exponent)

    def __str__(self) -> str:
        if self.scale:
            return f"{self.scale:.4g} n^{self.exponent:.3g}"
        return f"{self.fixed:.4g} + {self.per_entry:.4g} n"


def costs(candidates: Sequence[Candidate], batch: int) -> dict[str, SearchCost]:
    """The fitted cost of a call with ``batch`` queries, for each usable candidate."""
    usable = {c.spec: _times(c, batch) for c in candidates if c.usable}
    graphs = [np.log(times) for spec, times in usable.items() if spec != "exact"]
    slopes = [np.polyfit(sizes, times, 1)[0] for sizes, times in graphs]
    exponent = float(np.clip(np.median(slopes), 0.0, MOST_GROWTH)) if slopes else 0.0
    return {
        spec: _line(*times) if spec == "exact" else _power(*times, exponent)
        for spec, times in usable.items()
    }


def crossover(models: Mapping[str, SearchCost]) -> int | None:
    """The largest size up to which exact is chosen, at most the horizon; None without a graph.

    A line minus the least of the graphs is convex (they share an exponent below 1): the sizes at
    which exact is the faster lie in one piece. Below its beginning, if it has one, only the fixed
    costs of a call differ: exact, which never misses, is chosen there too.
    """
    graphs = [cost for spec, cost in models.items() if spec != "exact"]
    if not graphs:
        return None
    exact, graph = models["exact"], min(graphs, key=lambda cost: cost.scale)
    # Where the lead of exact search is largest: from there on it only shrinks.
    power = graph.exponent
    peak = max(1.0, (graph.scale * power / exact.per_entry) ** (1 / (1 - power)))
    low, high = min(int(peak), HORIZON), HORIZON
    if exact(low) > graph(low):
        return 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if exact(middle) <= graph(middle) else (low, middle)
    return high if exact(high) <= graph(high) else low


def fastest(models: Mapping[str, SearchCost], size: int) -> str:
    """Exact up to the crossover, beyond it the graph that costs least at ``size``."""
    end = crossover(models)
    if end is None or size <= end:
        return "exact"
    return min((spec for spec in models if spec != "exact"), key=lambda spec: models[spec](size))


def _times(candidate: Candidate, batch: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sizes and microseconds of a call with ``batch`` queries.

    Between two measured batches the time is interpolated, beyond the largest it grows in proportion
    to the batch.
    """
    sizes = sorted({point.size for point in candidate.points})
    times = []
    for size in sizes:
        at = {point.batch: point.microseconds for point in candidate.points if point.size == size}
        most = max(at)
        time = np.interp(min(batch, most), sorted(at), [at[b] for b in sorted(at)])
        times.append(time * max(1.0, batch / most))
    return np.array(sizes, np.float64), np.array(times, np.float64)


def _line(sizes: NDArray[np.float64], times: NDArray[np.float64]) -> SearchCost:
    """Least squares of relative errors, neither part negative: a small size counts as a large."""
    columns = np.stack([1 / times, sizes / times], axis=1)
    (fixed, per_entry), *_ = np.linalg.lstsq(columns, np.ones(len(times)), rcond=None)
    if fixed < 0 or per_entry <= 0:
        fixed, per_entry = 0.0, columns[:, 1].sum() / (columns[:, 1] ** 2).sum()
    return SearchCost(fixed=float(fixed), per_entry=float(per_entry))


def _power(sizes: NDArray[np.float64], times: NDArray[np.float64], exponent: float) -> SearchCost:
    """The level of a graph: the geometric mean over the sizes."""
    level = float(np.exp(np.mean(np.log(times) - exponent * np.log(sizes))))
    return SearchCost(scale=level, exponent=exponent)
