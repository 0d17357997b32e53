"""Several seeds as one cell of a table, and figures as text."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.report.frame import Row
from bench.report.table import EMPTY


@dataclass(frozen=True)
class Summary:
    """Mean and sample standard deviation (ddof 1) of n values; None where there is none."""

    mean: float | None
    sd: float | None
    n: int


Spread = Summary | Row
"""What a figure over seeds is: a summary, or that part of a frame's row."""


def summarise(values: Iterable[float | None]) -> Summary:
    """The summary of ``values``, whatever their order; None counts as not measured.

    >>> summarise([1.0, 3.0])
    Summary(mean=2.0, sd=1.4142135623730951, n=2)
    >>> summarise([0.5])
    Summary(mean=0.5, sd=None, n=1)
    """
    known = [value for value in values if value is not None]
    if not known or not all(map(math.isfinite, known)):
        return Summary(None, None, len(known))
    sd = statistics.stdev(known) if len(known) > 1 else None
    return Summary(statistics.fmean(known), sd, len(known))


def points(summary: Spread | None, *, sign: bool = False, digits: int = 2) -> str:
    """The summary in percent (points), without n.

    >>> points(Summary(0.8431, 0.0052, 3)), points(Summary(0.0123, None, 1), sign=True)
    ('84.31 ± 0.52', '+1.23')
    """
    if summary is None or summary.mean is None:
        return EMPTY
    plus = "+" if sign else ""
    mean = f"{100 * summary.mean:{plus}z.{digits}f}"
    return mean if summary.sd is None else f"{mean} ± {100 * summary.sd:.{digits}f}"


def nats(summary: Spread, *, sign: bool = False) -> str:
    """A loss with four digits.

    >>> nats(Summary(0.51234, None, 1)), nats(Summary(-0.01, 0.002, 3), sign=True)
    ('0.5123', '-0.0100 ± 0.0020')
    """
    if summary.mean is None:
        return EMPTY
    mean = f"{summary.mean:{'+' if sign else ''}z.4f}"
    return mean if summary.sd is None else f"{mean} ± {summary.sd:.4f}"


def number(value: float | None) -> str:
    """Three significant digits, or all digits of a large number.

    >>> number(0.012345), number(12.345), number(1234.5), number(None)
    ('0.0123', '12.3', '1,234', '–')
    """
    if value is None or not math.isfinite(value):
        return EMPTY
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def size(count: float | None) -> str:
    """Bytes in binary units.

    >>> size(512), size(10_000_000)
    ('512 B', '9.54 MiB')
    """
    if count is None:
        return EMPTY
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.3g} GiB"


def each(values: Sequence[Any]) -> str:
    """One value if all seeds agree, else the value of every seed.

    >>> each([8, 8, 8]), each([8, 16])
    ('8', '8, 16')
    """
    shown = [EMPTY if value is None else f"{value}" for value in values]
    return ", ".join(shown if len(set(shown)) > 1 else shown[:1]) or EMPTY
