"""Metrics on bootstrap resamples of the test examples, without repeating a single row.

A resample of N examples is how often each example was drawn: a row of counts. Metrics of answers
are sums over examples, so on all resamples together they are products of the matrix of counts; only
Spearman needs a pass per column of predictions, for its ranks. Every value equals the metric of
:mod:`reaugkd.tasks.metrics` on the repeated rows, degenerate resamples (one class, constant
scores: 0) included. Those give no warning here: a resample says nothing about the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.stats import correlations, weighed
from bench.stats.difference import RESAMPLES
from bench.stats.weighed import DRAWS_AT_ONCE, Counts, Floats, Weigh
from reaugkd.errors import UnknownNameError, UserError


def replicates(
    metric: str,
    predictions: ArrayLike,
    labels: ArrayLike,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Floats:
    """The metric of M prediction vectors on the same resamples of the test examples.

    Memory: the result, one float copy of ``predictions`` per class (per moment for correlations)
    and about 100 MB; the counts are made chunk by chunk.

    Args:
        metric: one of :data:`METRICS`.
        predictions: [M, N] class ids, or scores; a row per student.
        labels: [N].
        resamples: R.
        seed: of the draws; the same (N, R, seed) gives the same resamples, whatever M is.

    Returns:
        [R, M] float64.

    Raises:
        UnknownNameError: the metric is not known.
        UserError: a prediction is NaN or infinite, or there are no rows.
        ValueError: the shapes do not fit.
    """
    given, wanted = _checked(predictions, labels)
    weigh = _prepared(metric, given, wanted)
    result = np.empty((resamples, len(given)))
    done = 0
    for part in chunks(len(wanted), resamples, seed):
        result[done : done + len(part)] = weigh(part)
        done += len(part)
    return result


def observed(metric: str, predictions: ArrayLike, labels: ArrayLike) -> Floats:
    """The metric [M] of predictions [M, N] on the examples as they are.

    >>> observed("accuracy", [[1, 0, 1, 1], [1, 0, 0, 1]], [1, 0, 0, 1])
    array([0.75, 1.  ])
    """
    rows = np.shape(labels)[0] if np.ndim(labels) else 0
    values = resampled(metric, predictions, labels, np.ones((1, rows), np.float32))
    return np.asarray(values[0], np.float64)


def resampled(
    metric: str, predictions: ArrayLike, labels: ArrayLike, counts: NDArray[Any]
) -> Floats:
    """The metric [R, M] of predictions [M, N] where row i is repeated ``counts[r, i]`` times.

    Args:
        metric: as in :func:`replicates`.
        predictions: [M, N].
        labels: [N].
        counts: [R, N] whole numbers, at least one draw per row.

    Raises:
        UnknownNameError, UserError, ValueError: as :func:`replicates`.
    """
    given, wanted = _checked(predictions, labels)
    drawn = np.asarray(counts, np.float32)
    if drawn.ndim != 2 or drawn.shape[1] != len(wanted) or not drawn.any(axis=1).all():
        raise ValueError(f"counts {drawn.shape} must be [R, {len(wanted)}] with a draw in each row")
    return _prepared(metric, given, wanted)(drawn)


def counts(examples: int, resamples: int = RESAMPLES, seed: int = 0) -> Counts:
    """How often each of N examples was drawn in each of R resamples: [R, N] float32, whole."""
    return np.concatenate(list(chunks(examples, resamples, seed)))


def chunks(examples: int, resamples: int = RESAMPLES, seed: int = 0) -> Iterator[Counts]:
    """:func:`counts` in parts of some rows; together the same rows in the same order."""
    random = np.random.default_rng([seed, examples])
    at_once = max(1, DRAWS_AT_ONCE // examples)
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        drawn = random.integers(0, examples, (rows, examples))
        drawn += np.arange(0, rows * examples, examples)[:, None]
        drawn_counts = np.bincount(drawn.ravel(), minlength=rows * examples)
        yield drawn_counts.reshape(rows, examples).astype(np.float32)


def _checked(predictions: ArrayLike, labels: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    given, wanted = np.asarray(predictions), np.asarray(labels)
    if given.ndim != 2 or wanted.ndim != 1 or given.shape[1] != len(wanted):
        raise ValueError(f"predictions {given.shape} must be [M, N] and labels {wanted.shape} [N]")
    if not len(wanted):
        raise UserError("no rows to resample")
    for name, values in (("predictions", given), ("labels", wanted)):
        bad = int((~np.isfinite(values)).sum())
        if bad:
            raise UserError(f"{bad} of {values.size} {name} are NaN or infinite: cannot resample")
    return given, wanted


def _prepared(metric: str, predictions: NDArray[Any], labels: NDArray[Any]) -> Weigh:
    if metric not in METRICS:
        raise UnknownNameError("metric", metric, METRICS)
    return METRICS[metric](predictions, labels)


METRICS: dict[str, Callable[[NDArray[Any], NDArray[Any]], Weigh]] = {
    "accuracy": weighed.accuracy,
    "balanced_accuracy": weighed.balanced_accuracy,
    "f1_macro": weighed.f1_of_classes(weighted=False),
    "f1_weighted": weighed.f1_of_classes(weighted=True),
    "f1": weighed.f1,
    "matthews": weighed.matthews,
    "pearson": correlations.pearson,
    "spearman": correlations.spearman,
    "mae": weighed.mae,
    "rmse": weighed.rmse,
}
