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

from bench.stats.difference import RESAMPLES
from reaugkd.errors import UnknownNameError, UserError

Floats = NDArray[np.float64]
Counts = NDArray[np.float32]
Weigh = Callable[[Counts], Floats]
"""From counts [r, N] to the metric [r, M]."""

DRAWS_AT_ONCE = 2**22
"""Draws (resamples x examples) per chunk: 32 MiB of int64."""

DOUBTFUL = 1e-6
"""Below this share of the variance of all rows, the sums of a correlation have lost digits."""


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


def _sums(which: NDArray[np.bool_]) -> Weigh:
    """Sums of counts where ``which`` [M, N] holds; exact below 2**24 examples."""
    columns = np.ascontiguousarray(which.T, np.float32)
    return lambda drawn: (drawn @ columns).astype(np.float64)


def _sizes(drawn: Counts) -> Floats:
    return np.asarray(drawn.sum(axis=1, dtype=np.float64, keepdims=True), np.float64)


def _accuracy(predictions: NDArray[Any], labels: NDArray[Any]) -> Weigh:
    right = _sums(predictions == labels)
    return lambda drawn: right(drawn) / _sizes(drawn)


def _f1(predictions: NDArray[Any], labels: NDArray[Any]) -> Weigh:
    both = _sums((predictions == 1) & (labels == 1))
    said, true = _sums(predictions == 1), _sums(labels[None] == 1)
    return lambda drawn: _quotient(2 * both(drawn), said(drawn) + true(drawn))


def _balanced_accuracy(predictions: NDArray[Any], labels: NDArray[Any]) -> Weigh:
    classes = np.unique(labels)
    both = [_sums((predictions == each) & (labels == each)) for each in classes]
    true = [_sums(labels[None] == each) for each in classes]

    def weigh(drawn: Counts) -> Floats:
        sizes = [part(drawn) for part in true]
        shares = sum(_quotient(part(drawn), n) for part, n in zip(both, sizes, strict=True))
        return np.asarray(shares / sum(n > 0 for n in sizes), np.float64)

    return weigh


def _f1_of_classes(*, weighted: bool) -> Callable[[NDArray[Any], NDArray[Any]], Weigh]:
    """The mean F1 of the classes that are drawn or predicted, or weighted by what is drawn."""

    def prepare(predictions: NDArray[Any], labels: NDArray[Any]) -> Weigh:
        classes = np.union1d(predictions, labels)
        both = [_sums((predictions == each) & (labels == each)) for each in classes]
        said, true = _occurrences(predictions, labels, classes)

        def weigh(drawn: Counts) -> Floats:
            total = np.zeros((len(drawn), len(predictions)))
            weights = np.zeros_like(total)
            for right, given, wanted in zip(both, said, true, strict=True):
                n = wanted(drawn)
                either = given(drawn) + n
                weight = np.broadcast_to(n, either.shape) if weighted else either > 0
                total += weight * _quotient(2 * right(drawn), either)
                weights += weight
            return _quotient(total, weights)

        return weigh

    return prepare


def _occurrences(
    predictions: NDArray[Any], labels: NDArray[Any], classes: NDArray[Any]
) -> tuple[list[Weigh], list[Weigh]]:
    """Per class how often it is predicted, and how often it is true."""
    said = [_sums(predictions == each) for each in classes]
    return said, [_sums(labels[None] == each) for each in classes]


def _matthews(predictions: NDArray[Any], labels: NDArray[Any]) -> Weigh:
    """Of any number of classes (Gorodkin 2004), as scikit-learn's."""
    classes = np.union1d(predictions, labels)
    right = _sums(predictions == labels)
    said, true = _occurrences(predictions, labels, classes)

    def weigh(drawn: Counts) -> Floats:
        n = _sizes(drawn)
        given, wanted = [part(drawn) for part in said], [part(drawn) for part in true]
        together = n * right(drawn) - sum(p * t for p, t in zip(given, wanted, strict=True))
        spread = n**2 - sum(p**2 for p in given)
        spread_true = n**2 - sum(t**2 for t in wanted)
        return _quotient(together, np.sqrt(spread * spread_true))

    return weigh


def _mae(predictions: NDArray[Any], labels: NDArray[Any]) -> Weigh:
    errors = np.abs(np.asarray(predictions, np.float64) - labels).T
    return lambda drawn: drawn @ errors / _sizes(drawn)


def _rmse(predictions: NDArray[Any], labels: NDArray[Any]) -> Weigh:
    squares = ((np.asarray(predictions, np.float64) - labels) ** 2).T
    return lambda drawn: np.sqrt(drawn @ squares / _sizes(drawn))


def _quotient(over: Floats, under: Floats) -> Floats:
    """``over / under``, and 0 where nothing is to be divided by."""
    return np.divide(over, under, out=np.zeros(np.broadcast(over, under).shape), where=under > 0)


def _pearson(predictions: NDArray[Any], labels: NDArray[Any]) -> Weigh:
    x, y = _standard(predictions), _standard(labels[None])
    moments = [np.ascontiguousarray(part.T) for part in (x, y, x * x, y * y, x * y)]

    def weigh(drawn: Counts) -> Floats:
        weights = drawn.astype(np.float64)
        mx, my, mxx, myy, mxy = (weights @ part / _sizes(drawn) for part in moments)
        vx, vy = mxx - mx**2, np.broadcast_to(myy - my**2, mx.shape)
        doubtful = (vx < DOUBTFUL) | (vy < DOUBTFUL)
        value = _quotient(mxy - mx * my, np.sqrt(np.where(doubtful, 0.0, vx * vy)))
        rows, columns = np.nonzero(doubtful)
        at_once = max(1, DRAWS_AT_ONCE // len(labels))
        for start in range(0, len(rows), at_once):
            r, c = rows[start : start + at_once], columns[start : start + at_once]
            value[r, c] = _pearson_of_rows(weights[r], x[c], y[0])
        return np.clip(value, -1.0, 1.0)

    return weigh


def _standard(values: NDArray[Any]) -> Floats:
    """Rows [M, N] with mean 0 and sd 1, so that sums of squares keep their digits."""
    rows = np.asarray(values, np.float64)
    largest = np.abs(rows).max(axis=1, keepdims=True)
    rows = rows / np.where(largest > 0, largest, 1.0)
    varies = np.ptp(rows, axis=1, keepdims=True) > 0
    rows = np.where(varies, rows - rows.mean(axis=1, keepdims=True), 0.0)
    return rows / np.where(varies, rows.std(axis=1, keepdims=True), 1.0)


def _pearson_of_rows(weights: Floats, x: Floats, y: Floats) -> Floats:
    """Correlations [F] of x [F, N] with y [N] under weights [F, N], mean first; constant: 0."""
    n = weights.sum(axis=1, keepdims=True)
    ys = np.broadcast_to(y, x.shape)
    varies = np.ones(len(x), bool)
    centred = []
    for values in (x, ys):
        inside = weights > 0
        least = np.where(inside, values, np.inf).min(axis=1)
        varies &= np.where(inside, values, -np.inf).max(axis=1) > least
        centred.append(values - (weights * values).sum(axis=1, keepdims=True) / n)
    dx, dy = centred
    spread = np.sqrt((weights * dx**2).sum(axis=1)) * np.sqrt((weights * dy**2).sum(axis=1))
    return _quotient((weights * dx * dy).sum(axis=1), np.where(varies, spread, 0.0))


def _spearman(predictions: NDArray[Any], labels: NDArray[Any]) -> Weigh:
    """By mid-ranks within each resample: equal values, and copies of a row, share their rank."""
    wanted, given = _Ties(labels), [_Ties(row) for row in predictions]

    def weigh_some(weights: Floats) -> Floats:
        ranks, spread = wanted.ranks(weights)
        ranked = weights * ranks[:, wanted.group]  # each row's sum of centred ranks of labels
        value = np.empty((len(weights), len(given)))
        for column, ties in enumerate(given):
            own, own_spread = ties.ranks(weights)
            together = np.einsum("rg,rg->r", own, ties.sums(ranked))
            value[:, column] = _quotient(together, np.sqrt(spread * own_spread))
        return np.clip(value, -1.0, 1.0)

    def weigh(drawn: Counts) -> Floats:
        # Few rows at a time, so that they stay in the processor's cache over the columns.
        some = max(1, 2**16 // len(labels))
        parts = range(0, len(drawn), some)
        return np.concatenate([weigh_some(drawn[p : p + some].astype(np.float64)) for p in parts])

    return weigh


class _Ties:
    """Values [N] in rising order, equal ones as one group of G.

    Attributes:
        group: [N] the group of each example.
    """

    def __init__(self, values: NDArray[Any]) -> None:
        _, self.group = np.unique(values, return_inverse=True)
        self._order = np.argsort(self.group, kind="stable")
        self._starts = np.flatnonzero(np.diff(self.group[self._order], prepend=-1))

    def sums(self, weights: Floats) -> Floats:
        """Sums [r, G] of weights [r, N] over each group."""
        ordered = np.take(weights, self._order, axis=1)
        if len(self._starts) == ordered.shape[1]:
            return ordered
        return np.asarray(np.add.reduceat(ordered, self._starts, axis=1), np.float64)

    def ranks(self, weights: Floats) -> tuple[Floats, Floats]:
        """Mid-ranks [r, G] minus their mean, and their sum of squares [r] over the rows drawn."""
        sizes = self.sums(weights)
        ranks = np.cumsum(sizes, axis=1)
        total = ranks[:, -1:].copy()
        ranks -= 0.5 * sizes
        ranks -= 0.5 * total  # mid-rank - (n + 1) / 2; exact in float64, as are the sums
        return ranks, np.einsum("rg,rg,rg->r", sizes, ranks, ranks)


METRICS: dict[str, Callable[[NDArray[Any], NDArray[Any]], Weigh]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "f1_macro": _f1_of_classes(weighted=False),
    "f1_weighted": _f1_of_classes(weighted=True),
    "f1": _f1,
    "matthews": _matthews,
    "pearson": _pearson,
    "spearman": _spearman,
    "mae": _mae,
    "rmse": _rmse,
}
