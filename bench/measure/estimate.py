"""How long the rest takes: builds by the vectors they sort, cells by their likes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import fmean

from bench.measure.plan import MeasurementPlan


def words(seconds: float) -> str:
    """A duration for people.

    >>> words(4.2), words(100), words(5000)
    ('4 s', '2 min', '1.4 h')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


class Estimate:
    """Learns from what was built and measured.

    Args:
        plans: cells that are to be measured.
        builds: (spec, size) of indexes that are to be built.
    """

    def __init__(
        self, plans: Iterable[MeasurementPlan], builds: Iterable[tuple[str, int]] = ()
    ) -> None:
        self._waiting = {plan.key: _likes(plan) for plan in plans}
        self._builds = set(builds)
        self._took: dict[tuple[object, ...], list[float]] = {}
        self._built: dict[str, tuple[int, float]] = {}

    def built(self, spec: str, size: int, seconds: float) -> None:
        """An index is there; the largest so far tells most of the next."""
        self._builds.discard((spec, size))
        if seconds > 0 and size >= self._built.get(spec, (0, 0.0))[0]:
            self._built[spec] = (size, seconds)

    def build(self, spec: str, size: int) -> float:
        """Seconds a build that is to come may take, graphs and trees being n log n; 0: unknown."""
        if spec not in self._built or (spec, size) not in self._builds:
            return 0.0
        before, seconds = self._built[spec]
        return seconds * (size * math.log(size + 1)) / (before * math.log(before + 1))

    def measured(self, plan: MeasurementPlan, seconds: float) -> None:
        """A cell has ended."""
        self._waiting.pop(plan.key, None)
        self._took.setdefault(_likes(plan), []).append(seconds)

    def left(self) -> float | None:
        """Seconds until all is done; None while nothing was measured."""
        if not self._waiting:
            return 0.0
        if not self._took:
            return None
        overall = [fmean([seconds for likes in self._took.values() for seconds in likes])]
        cells = (fmean(self._took.get(likes, overall)) for likes in self._waiting.values())
        builds = (self.build(spec, size) for spec, size in self._builds)
        return sum(cells) + sum(builds)


def _likes(plan: MeasurementPlan) -> tuple[object, ...]:
    """Cells of the same take about as long."""
    cell = plan.cell
    return cell.batch, cell.precision, cell.threads, cell.lengths
