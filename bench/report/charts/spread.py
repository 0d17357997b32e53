"""Means over seeds in points, with the interval that so few seeds allow."""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy.special import stdtrit

from bench.report.summary import Spread

NOTE = "Bars: 95 % t interval of the mean over seeds."
TEST = "The chance of which examples are in the test set is not in it."


class Mean(NamedTuple):
    """A mean with the ends of its interval; None where there is none."""

    mean: float | None
    low: float | None
    high: float | None


def spread(summary: Spread | None, scale: float = 100.0) -> Mean:
    """The mean over seeds and its 95 % t interval, times ``scale``; one seed has no interval.

    >>> from bench.report.summary import Summary
    >>> spread(Summary(0.8, 0.01, 3))
    Mean(mean=80.0, low=77.51..., high=82.48...)
    >>> spread(Summary(0.8, None, 1))
    Mean(mean=80.0, low=None, high=None)
    """
    if summary is None or summary.mean is None:
        return Mean(None, None, None)
    mean = scale * summary.mean
    if summary.sd is None:
        return Mean(mean, None, None)
    arm = scale * summary.sd * float(stdtrit(summary.n - 1, 0.975)) / math.sqrt(summary.n)
    return Mean(mean, mean - arm, mean + arm)


def figure(value: float | None, unit: str = "") -> str:
    """A value of a picture in words.

    >>> figure(70.8333), figure(None)
    ('70.83', 'not measured')
    """
    return "not measured" if value is None else f"{value:.2f}{unit}"


def with_interval(mean: Mean) -> str:
    """A mean with the ends of its interval, in words."""
    ends = "" if mean.low is None else f" [{figure(mean.low)}, {figure(mean.high)}]"
    return figure(mean.mean) + ends
