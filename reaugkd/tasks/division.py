"""The division of ``train`` into ``fit`` and ``held_out``, once per split seed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reaugkd.errors import DataError, UserError
from reaugkd.tasks.task import Task

SHARE = 0.1
LEAST, MOST = 200, 2_000
BINS = 10  # equally filled bins of the score by which regression is stratified

Rows = NDArray[np.int64]


def held_out_size(rows: int) -> int:
    """Rows to hold out: a tenth, within 200 to 2,000, but never more than half.

    >>> [held_out_size(n) for n in (100, 635, 8551, 67349)]
    [50, 200, 855, 2000]
    """
    return min(rows // 2, max(LEAST, min(MOST, round(rows * SHARE))))


def divide(
    labels: NDArray[Any], task: Task, seed: int, *, rare: bool = False, what: str = "train"
) -> tuple[Rows, Rows]:
    """Row numbers of ``fit`` and of ``held_out``, each ascending, together all rows.

    Stratified by class, or by equally filled bins of the score: the share of each stratum in
    ``held_out`` is exact to within one row. Equal seeds give equal divisions. A DataError tells
    of a class with fewer than two rows, or of too few rows for both parts. With ``rare`` there may
    be such classes, and more classes than rows to hold out: fit has a row of each class. An error
    calls the rows ``what``.
    """
    from sklearn.model_selection import train_test_split

    rows, held_out = len(labels), held_out_size(len(labels))
    bins = max(1, min(BINS, held_out // 2))  # so that each has a row to hold out
    strata = score_bins(labels, bins) if task.regression else labels
    if not task.regression:
        counts = np.bincount(labels, minlength=task.outputs)
        if rare and (counts[labels].min() < 2 or held_out < np.count_nonzero(counts)):
            return _drawn(labels, counts, held_out, seed)
        for label, count in enumerate(counts):
            if count < 2 and not rare:
                raise DataError(
                    f"{task.title}: {what} has {count} rows of class '{task.labels[label]}';"
                    " at least 2 are needed, one to learn from and one to hold out"
                )
    if held_out < max(1, len(np.unique(strata))):
        raise DataError(
            f"{task.title}: {what} has {rows} rows, too few to divide into fit and held-out;"
            f" at least {2 * task.outputs} are needed"
        )
    fit, held = train_test_split(
        np.arange(rows), test_size=held_out, stratify=strata, random_state=seed
    )
    return np.sort(fit), np.sort(held)


def _drawn(
    labels: NDArray[Any], counts: NDArray[Any], held_out: int, seed: int
) -> tuple[Rows, Rows]:
    """Every so many rows in the order of their classes; the only row of a class is for fit.

    No more than every second row is taken, so that fit keeps one of every class.
    """
    random = np.random.default_rng(seed).permutation(len(labels))
    order = np.lexsort((random, labels))
    order = order[counts[labels[order]] > 1]
    size = min(held_out, len(order) // 2)
    if not size:
        raise DataError("train has no class with two rows, one to learn from and one to hold out")
    held = order[(np.arange(size) * 2 + 1) * len(order) // (2 * size)]
    return np.setdiff1d(np.arange(len(labels)), held), np.sort(held)


def score_bins(scores: NDArray[Any], bins: int) -> Rows:
    """The bin of each score [n] by rank, so that ties cannot leave a bin with a single row."""
    ranks = np.empty(len(scores), dtype=np.int64)
    ranks[np.argsort(scores, kind="stable")] = np.arange(len(scores))
    return ranks * bins // max(1, len(scores))


def subset(rows: int, limit: int, seed: int) -> Rows:
    """``limit`` of ``rows`` row numbers, ascending; a smaller limit gives part of a larger one."""
    if limit < 1:
        raise UserError(f"limit must be at least 1, found {limit}")
    return np.sort(np.random.default_rng(seed).permutation(rows)[:limit])


def folds(labels: NDArray[Any], count: int, seed: int) -> Rows:
    """The fold [n] of each row, 0 to ``count`` - 1, stratified by class or by score.

    Rows in the order of their labels, ties in random order, are dealt out in turn: sizes differ by
    one row at most, and so does every class's share.

    >>> folds(np.array([0, 0, 1, 1, 1, 1]), 2, seed=0).tolist().count(0)
    3
    """
    random = np.random.default_rng(seed).permutation(len(labels))
    fold = np.empty(len(labels), dtype=np.int64)
    fold[np.lexsort((random, labels))] = np.arange(len(labels)) % count
    return fold
