"""How long the rest takes: builds by the vectors they sort, cells by their likes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import fmean

from bench.measure.plan import Planned


def words(seconds: float) -> str:
    """A duration for people.

    >>> words(4.2), words(100), words(5000)
    ('4 s', '2 min', '1.4 h')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def scaled(seconds: float, size: int, to: int) -> float:
    """What ``to`` vectors take if ``size`` took ``seconds``: graphs and trees are n log n."""
    return seconds * (to * math.log(to + 1)) / (size * math.log(size + 1))


class Estimate:
    """Learns from what was built and measured.

    Args:
        cells: that are to be measured.
        builds: (spec, size) of indexes that are to be built.
    """

    def __init__(self, cells: Iterable[Planned], builds: Iterable[tuple[str, int]] = ()) -> None:
        self._cells = {one.key: _kind(one) for one in cells}
        self._builds = set(builds)
        self._took: dict[tuple[object, ...], list[float]] = {}
        self._built: dict[str, tuple[int, float]] = {}

    def built(self, spec: str, size: int, seconds: float) -> None:
        """An index is there; the largest so far tells most of the next."""
        self._builds.discard((spec, size))
        if seconds > 0 and size >= self._built.get(spec, (0, 0.0))[0]:
            self._built[spec] = (size, seconds)

    def build(self, spec: str, size: int) -> float | None:
        """Seconds a build may take; None without anything to go by."""
        if spec not in self._built:
            return None
        before, seconds = self._built[spec]
        return scaled(seconds, before, size)

    def measured(self, planned: Planned, seconds: float) -> None:
        """A cell has ended."""
        kind = self._cells.pop(planned.key, _kind(planned))
        self._took.setdefault(kind, []).append(seconds)

    def left(self) -> float | None:
        """Seconds until all is done; None while nothing was measured."""
        if not self._cells:
            return 0.0
        if not self._took:
            return None
        overall = fmean(_flat(self._took.values()))
        cells = (fmean(self._took.get(kind, [overall])) for kind in self._cells.values())
        builds = (self.build(spec, size) or 0.0 for spec, size in self._builds)
        return sum(cells) + sum(builds)


def _kind(planned: Planned) -> tuple[object, ...]:
    cell = planned.cell
    return cell.batch, cell.precision, cell.threads, cell.lengths


def _flat(values: Iterable[Sequence[float]]) -> list[float]:
    return [value for part in values for value in part]
