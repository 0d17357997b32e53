"""What every renderer must agree on about an axis: its kind, its places, its ticks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.report.figure import Axis, Panel, Value

Kind = Literal["linear", "log", "category"]

MOST_TICKS = 10
"""So many values of an axis may all be its ticks."""

NEAREST = 0.05
"""Ticks lie at least this share of the axis apart."""


@dataclass(frozen=True)
class Scale:
    """An axis as it is drawn.

    Attributes:
        kind: how places lie on it.
        categories: of a category axis, in the order in which they first appear.
        ticks: where it is labelled, or None to leave that to the renderer.
    """

    kind: Kind
    categories: tuple[str, ...] = ()
    ticks: tuple[float, ...] | None = None


def across(panel: Panel) -> Scale:
    """The horizontal axis; one word among its places makes all of them categories."""
    values = [value for series in panel.series for value in series.x if value is not None]
    if any(isinstance(value, str) for value in values):
        return Scale("category", tuple(dict.fromkeys(word(value) for value in values)))
    there = [
        float(value)
        for series in panel.series
        for value, y in zip(series.x, series.y, strict=True)
        if value is not None and y is not None
    ]
    return _scale(there, log=panel.x.log, own=True)


def upright(panel: Panel) -> Scale:
    """The vertical axis; rules belong to it."""
    values = [rule.y for rule in panel.rules]
    for series in panel.series:
        for ends in (series.y, series.low, series.high):
            values += [value for value in ends if value is not None]
    return _scale(values, log=panel.y.log, own=False)


def _scale(values: Sequence[float], *, log: bool, own: bool) -> Scale:
    """A log axis whose values lie close together is drawn as a linear one: it would look alike."""
    ticks = own_ticks(values, log=log) if own else None
    if not log:
        return Scale("linear", ticks=ticks)
    ticks = ticks or log_ticks(values)
    return Scale("log", ticks=ticks) if ticks else Scale("linear")


def place(value: Value, axis: Axis) -> float | str | None:
    """The value as it can be drawn: None where it is not finite, or not positive on a log axis."""
    if value is None or isinstance(value, str):
        return value
    number = float(value)  # numpy's numbers are not JSON's
    if not math.isfinite(number) or (axis.log and number <= 0):
        return None
    return number


def word(value: float | str) -> str:
    """A place of an axis in words.

    >>> word(10_000), word(0.5), word("off")
    ('10,000', '0.5', 'off')
    """
    return value if isinstance(value, str) else f"{value:,.6g}"


def own_ticks(values: Iterable[float], *, log: bool) -> tuple[float, ...] | None:
    """The values themselves as ticks, where they are few, short and far enough apart.

    >>> own_ticks([1, 2, 4, 8, 16], log=True)
    (1, 2, 4, 8, 16)
    >>> own_ticks([360_000, 390_000, 630], log=True)
    >>> own_ticks([1.2345, 8], log=True)
    """
    there = sorted({v for v in values if math.isfinite(v) and (v > 0 or not log)})
    if not 2 <= len(there) <= MOST_TICKS or any(float(f"{v:.2g}") != v for v in there):
        return None
    at = [math.log10(value) if log else value for value in there]
    apart = min(after - before for before, after in itertools.pairwise(at))
    return tuple(there) if apart >= NEAREST * (at[-1] - at[0]) else None


def log_ticks(values: Sequence[float]) -> tuple[float, ...] | None:
    """Round places within the values of a log axis: decades, or 1, 2 and 5 where there are few.

    >>> log_ticks([635, 392_702]), log_ticks([0.3, 4])
    ((1000.0, 10000.0, 100000.0), (0.5, 1.0, 2.0))
    """
    there = [value for value in values if math.isfinite(value) and value > 0]
    if not there:
        return None
    low, high = min(there), max(there)
    for steps in ((1,), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 7)):
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        found = [float(f"{step}e{decade}") for decade in decades for step in steps]
        inside = tuple(tick for tick in found if low <= tick <= high)
        if len(inside) >= 3:
            return inside
    return None
