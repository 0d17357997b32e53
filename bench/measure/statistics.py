"""From nanoseconds to a verdict: pure functions of what the processes of a cell timed.

Two levels vary: a process (where its memory lies, what else the machine did) and the inputs
within it. The interval is a bootstrap over both. A verdict needs the whole interval on one side
of the limit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.measure.timing import Laps, Nanoseconds
from bench.records.measurement import Interval, Times, Verdict

RESAMPLES, SEED = 2_000, 0
LEAST = 2
"""Processes below which nothing is said of the variation between them."""


def ratio(processes: Sequence[Laps]) -> Interval:
    """The overhead: added / forward of the same batch in the same loop.

    Raises:
        ValueError: for fewer than two processes, shapes that differ, or times that are not
            positive.
    """
    return _interval([_shares(p.added, p.forward) for p in _checked(processes)])


def end_to_end(processes: Sequence[Laps]) -> Interval:
    """(forward + added) / plain forward - 1, the interleaved cross-check; errors as ratio."""
    return _interval([_shares(p.forward + p.added, p.plain) for p in _checked(processes)], less=1.0)


def noise(processes: Sequence[Laps]) -> Interval:
    """A/A: forward / plain forward - 1, which would be 0 without noise; errors as ratio."""
    return _interval([_shares(p.forward, p.plain) for p in _checked(processes)], less=1.0)


def percentiles(arrays: Sequence[Nanoseconds]) -> Times:
    """p50, p95 and p99 of all times together, in milliseconds."""
    milliseconds = np.concatenate([array.ravel() for array in arrays]) / 1e6
    p50, p95, p99 = np.percentile(milliseconds, (50, 95, 99))
    return Times(p50=float(p50), p95=float(p95), p99=float(p99))


def verdict(interval: Interval, limit: float) -> Verdict:
    """``holds`` if the upper end is at most ``limit``, ``fails`` if the lower end is above it.

    >>> verdict(Interval(estimate=0.02, low=0.01, high=0.03), 0.03)
    'holds'
    >>> verdict(Interval(estimate=0.04, low=0.03, high=0.05), 0.03)
    'undecided'

    Raises:
        ValueError: if a number is not finite or the limit is negative.
    """
    if not all(map(math.isfinite, (interval.low, interval.high, limit))) or limit < 0:
        raise ValueError(f"no verdict on [{interval.low}, {interval.high}] against {limit}")
    if interval.high <= limit:
        return "holds"
    return "fails" if interval.low > limit else "undecided"


def _checked(processes: Sequence[Laps]) -> Sequence[Laps]:
    if len(processes) < LEAST:
        raise ValueError(f"an interval needs at least {LEAST} processes, got {len(processes)}")
    for laps in processes:
        shapes = {array.shape for array in laps}
        if len(shapes) != 1 or laps.forward.ndim != 2 or not laps.forward.size:
            raise ValueError(f"times are [rounds, batches] and alike, got {sorted(shapes)}")
        if any(array.min() <= 0 for array in laps):
            raise ValueError("a time that is not positive: the clock or the loop is broken")
    return processes


def _shares(part: Nanoseconds, whole: Nanoseconds) -> NDArray[Any]:
    """Part / whole [batches] float64: of each batch the median over its rounds."""
    shares: NDArray[Any] = np.median(part / whole, axis=0)
    return shares


def _interval(processes: Sequence[NDArray[Any]], less: float = 0.0) -> Interval:
    """Mean over processes of their medians over inputs, with a 95 % percentile interval, ``less``.

    A resample draws one process fewer than there are (with replacement). Drawing all n would
    make the variance between processes too small by (n - 1) / n, half of it for two processes;
    see Rao and Wu (1988), "Resampling inference with complex survey data".
    """
    random = np.random.default_rng(SEED)
    drawn = random.integers(0, len(processes), (RESAMPLES, len(processes) - 1))
    medians = np.empty(drawn.shape)
    for number, values in enumerate(processes):
        places = drawn == number
        inputs = random.integers(0, len(values), (int(places.sum()), len(values)))
        medians[places] = np.median(values[inputs], axis=1)
    low, high = np.percentile(medians.mean(axis=1), (2.5, 97.5))
    estimate = float(np.mean([np.median(values) for values in processes]))
    # With few inputs all resamples can lie on one side of the estimate; the interval holds it.
    low, high = min(float(low), estimate), max(float(high), estimate)
    return Interval(estimate=estimate - less, low=low - less, high=high - less)
