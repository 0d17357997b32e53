"""Means over seeds in points, with the interval that so few seeds allow."""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy.special import stdtrit

from bench.records.measurement import Interval
from bench.report.summary import Spread
from bench.stats.difference import Difference

NOTE = "Bars: 95 % t interval of the mean over seeds."
TEST = "The chance of which examples are in the test set is not in it."


class Mean(NamedTuple):
    """A mean with the ends of its interval; None where there is none."""

    mean: float | None = None
    low: float | None = None
    high: float | None = None

    def at(self, axis: str) -> dict[str, float | None]:
        """Its fields of a mark."""
        return {axis: self.mean, "low": self.low, "high": self.high}

    def __format__(self, unit: str) -> str:
        """In words, with the interval; ``unit`` is ``%`` or nothing."""
        ends = "" if self.low is None else f" [{figure(self.low)}, {figure(self.high)}]"
        return figure(self.mean) + unit.replace("%", " %") + ends


def spread(summary: Spread | None, scale: float = 100.0) -> Mean:
    """The mean over seeds and its 95 % t interval, times ``scale``; one seed has no interval.

    >>> from bench.report.summary import Summary
    >>> f"{spread(Summary(0.8, 0.01, 3))}; {spread(Summary(0.8, None, 1)):%}"
    '80.00 [77.52, 82.48]; 80.00 %'
    """
    if summary is None or summary.mean is None:
        return Mean()
    mean = scale * summary.mean
    if summary.sd is None:
        return Mean(mean)
    arm = scale * summary.sd * float(stdtrit(summary.n - 1, 0.975)) / math.sqrt(summary.n)
    return Mean(mean, mean - arm, mean + arm)


def percent(share: Interval | Difference) -> Mean:
    """A measured share with its interval, if it has one."""
    ends = (share.estimate, share.low, share.high)
    return Mean(*(None if end is None else 100 * end for end in ends))


def figure(value: float | None) -> str:
    """A value of a picture in words."""
    return "not measured" if value is None else f"{value:.2f}"
