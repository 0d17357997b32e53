"""From nanoseconds to a verdict: pure functions of what the processes of a cell timed.

Two levels vary: a process (where its memory lies, what else the machine did) and the inputs
within it. The interval is a bootstrap over both. A verdict needs the whole interval on one side
of the limit.

Where a sure student is not asked about, batches are of several kinds: one without a search takes
next to nothing, one with many searches the most. A median over all would say what one kind costs,
without a word of the other: nothing if 51 % are skipped, everything if 49 % are. What a server
pays is the mean. But a mean over inputs follows every hiccup of the machine, and would not be
comparable with the median of a cell that skips nothing. So inputs are put together by ``asked``,
how many of their batch were searched: among those that are alike the median is taken, and over the
kinds the mean, by how many inputs each has. With one kind that is the median as before, bit for
bit; with a kind per input it is the plain mean of the ratios.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.measure.timing import Laps, Nanoseconds
from bench.records.measurement import Interval, MeasuredSkipping, Times, Verdict

RESAMPLES, SEED = 2_000, 0
LEAST = 2
"""Processes below which nothing is said of the variation between them."""

Asked = Sequence[NDArray[np.int64]] | None
"""Of each process, the inputs of each batch [batches] that were searched; None: all of them."""


def ratio(processes: Sequence[Laps], asked: Asked = None) -> Interval:
    """The overhead: added / forward of the same batch in the same loop.

    Raises:
        ValueError: for fewer than two processes, shapes that differ, or times that are not
            positive.
    """
    return _interval([_shares(p.added, p.forward) for p in _checked(processes)], asked)


def end_to_end(processes: Sequence[Laps], asked: Asked = None) -> Interval:
    """(forward + added) / plain forward - 1, the interleaved cross-check; errors as ratio."""
    shares = [_shares(p.forward + p.added, p.plain) for p in _checked(processes)]
    return _interval(shares, asked, less=1.0)


def noise(processes: Sequence[Laps]) -> Interval:
    """A/A: forward / plain forward - 1, which would be 0 without noise; errors as ratio."""
    return _interval([_shares(p.forward, p.plain) for p in _checked(processes)], less=1.0)


def skipping(
    processes: Sequence[Laps], asked: Sequence[NDArray[np.int64]], batch: int
) -> MeasuredSkipping:
    """The share that was skipped, the mean time, and what a search costs where there is one.

    Args:
        processes: what was timed.
        asked: inputs of each batch that were searched.
        batch: inputs of a batch.

    Raises:
        ValueError: as ratio, and for numbers of inputs that do not fit the batches.
    """
    _checked(processes)
    for laps, numbers in zip(processes, asked, strict=True):
        fits = numbers.shape == laps.forward.shape[1:]
        if not fits or numbers.min() < 0 or numbers.max() > batch:
            raise ValueError(f"inputs that were searched do not fit batches of {batch}")
    searched = [
        Laps(*(times[:, numbers > 0] for times in laps))
        for laps, numbers in zip(processes, asked, strict=True)
    ]
    some = [laps.added for laps in searched if laps.added.size]
    added = [np.median(laps.added, axis=0) for laps in processes]
    kinds = zip(added, asked, strict=True)
    return MeasuredSkipping(
        share=1.0 - float(np.concatenate(asked).mean()) / batch,
        mean=float(np.mean([_typical(times, numbers) for times, numbers in kinds])) / 1e6,
        asked=percentiles(some) if some else None,
        asked_ratio=ratio(searched) if len(some) == len(processes) else None,
    )


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


def _typical(values: NDArray[Any], kinds: NDArray[np.int64] | None) -> NDArray[Any]:
    """Mean over the inputs of [..., inputs], each standing for the median of its kind."""
    if kinds is None:
        medians: NDArray[Any] = np.median(values, axis=-1)
        return medians
    inputs = values.shape[-1]
    mean = np.zeros(values.shape[:-1])
    for kind in np.unique(kinds):
        alike = kinds == kind
        count = alike.sum(axis=-1, keepdims=True)
        ordered = np.sort(np.where(alike, values, np.inf), axis=-1)
        middle = ((np.maximum(count, 1) - 1) // 2, np.minimum(count // 2, inputs - 1))
        low, high = (np.take_along_axis(ordered, at, axis=-1) for at in middle)
        share = count / inputs
        mean += (share * np.where(count > 0, (low + high) / 2, 0.0))[..., 0]
    return mean


def _interval(
    processes: Sequence[NDArray[Any]], asked: Asked = None, less: float = 0.0
) -> Interval:
    """Mean over processes of what is typical of them, with a 95 % percentile interval, ``less``.

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
        kinds = None if asked is None else asked[number][inputs]
        medians[places] = _typical(values[inputs], kinds)
    low, high = np.percentile(medians.mean(axis=1), (2.5, 97.5))
    every = [None] * len(processes) if asked is None else asked
    typical = [_typical(values, kinds) for values, kinds in zip(processes, every, strict=True)]
    estimate = float(np.mean(typical))
    # With few inputs all resamples can lie on one side of the estimate; the interval holds it.
    low, high = min(float(low), estimate), max(float(high), estimate)
    return Interval(estimate=estimate - less, low=low - less, high=high - less)
