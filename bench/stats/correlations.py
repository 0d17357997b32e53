"""Correlations on resampled examples, from counts as in :mod:`bench.stats.weighed`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.stats.weighed import DRAWS_AT_ONCE, Counts, Floats, Weigh, quotient, sizes

DOUBTFUL = 1e-6
"""Below this share of the variance of all rows, the sums of a correlation have lost digits."""


def pearson(predictions: NDArray[Any], labels: NDArray[Any]) -> Weigh:
    """Pearson's correlation, 0 where it is not defined."""
    x, y = _standard(predictions), _standard(labels[None])
    moments = [np.ascontiguousarray(part.T) for part in (x, y, x * x, y * y, x * y)]

    def weigh(drawn: Counts) -> Floats:
        weights = drawn.astype(np.float64)
        mx, my, mxx, myy, mxy = (weights @ part / sizes(drawn) for part in moments)
        vx, vy = mxx - mx**2, np.broadcast_to(myy - my**2, mx.shape)
        doubtful = (vx < DOUBTFUL) | (vy < DOUBTFUL)
        value = quotient(mxy - mx * my, np.sqrt(np.where(doubtful, 0.0, vx * vy)))
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
    return quotient((weights * dx * dy).sum(axis=1), np.where(varies, spread, 0.0))


def spearman(predictions: NDArray[Any], labels: NDArray[Any]) -> Weigh:
    """By mid-ranks within each resample: equal values, and copies of a row, share their rank."""
    wanted, given = _Ties(labels), [_Ties(row) for row in predictions]

    def weigh_some(weights: Floats) -> Floats:
        ranks, spread = wanted.ranks(weights)
        ranked = weights * ranks[:, wanted.group]  # each row's sum of centred ranks of labels
        value = np.empty((len(weights), len(given)))
        for column, ties in enumerate(given):
            given_ranks, given_spread = ties.ranks(weights)
            together = np.einsum("rg,rg->r", given_ranks, ties.sums(ranked))
            value[:, column] = quotient(together, np.sqrt(spread * given_spread))
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
