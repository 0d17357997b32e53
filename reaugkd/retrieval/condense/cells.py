"""Cells: rows put together, each to become one entry of a knowledge base."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from reaugkd.retrieval.condense.condenser import entries_of
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.normalise import UNIT_TOLERANCE, Vectors

Cells = NDArray[np.int64]
"""The cell [n] of each row, from 0; none is empty."""

_BLOCK = 8192  # rows at a time, so that the float32 work space stays small
_OPPOSED = 1e-6
"""A mean of unit keys shorter than this has no direction: its keys point away from each other."""


def in_order(cells: Cells) -> Cells:
    """The same cells, numbered by their first rows.

    >>> in_order(np.array([7, 2, 7, 4])).tolist()
    [0, 1, 0, 2]
    """
    _, first, numbers = np.unique(cells, return_index=True, return_inverse=True)
    return first.argsort().argsort()[numbers]


def counts_of(base: KnowledgeBase) -> NDArray[np.int64]:
    """The rows [n] that each entry stands for."""
    return np.ones(len(base), np.int64) if base.counts is None else np.asarray(base.counts)


def means(base: KnowledgeBase, cells: Cells) -> KnowledgeBase:
    """The base with one entry per cell, in the order of their numbers.

    Its key is the direction of the mean of its keys, its value their mean (both weighted by
    counts), its count their sum, its id that of the row nearest to its key. What stands alone, or
    with rows that equal it, stays as it is, bit for bit. Keys without a mean direction are
    represented by the first of them.
    """
    counts = counts_of(base)
    totals = np.bincount(cells, weights=counts)[:, None]
    keys = _sums(base.keys, counts, cells) / totals
    lengths = np.sqrt(np.einsum("ij,ij->i", keys, keys))[:, None]
    first = np.unique(cells, return_index=True)[1]
    keys = np.where(lengths < _OPPOSED, base.keys[first], keys)
    lengths[(lengths < _OPPOSED) | (abs(lengths**2 - 1.0) <= UNIT_TOLERANCE)] = 1.0
    unit: Vectors = (keys / lengths).astype(np.float32)
    values = (_sums(base.values, counts, cells) / totals).astype(np.float32)
    rows = representatives(base.keys, unit, cells)
    return entries_of(base, unit, values, rows, totals[:, 0].astype(np.int64))


def _sums(
    rows: NDArray[np.float32], counts: NDArray[np.int64], cells: Cells
) -> NDArray[np.float64]:
    """The sums [cells, width] of ``rows`` [n, width] times ``counts`` [n] over each cell."""
    from scipy.sparse import csr_array

    members = csr_array((counts.astype(np.float64), (cells, np.arange(len(cells)))))
    sums: NDArray[np.float64] = members @ rows
    return sums


def representatives(keys: Vectors, centres: Vectors, cells: Cells) -> NDArray[np.int64]:
    """The row of each cell whose key is nearest to the cell's centre [cells, d]."""
    nearness = _nearness(keys, centres, cells)
    best_first = np.lexsort((-nearness, cells))
    return best_first[np.unique(cells[best_first], return_index=True)[1]]


def assigned(keys: Vectors, centres: Vectors) -> Cells:
    """The cell [n] of each key: of its nearest centre [cells, d]; no cell is empty."""
    cells = np.concatenate([(keys[part] @ centres.T).argmax(axis=1) for part in blocks(len(keys))])
    return without_empty(cells, _nearness(keys, centres, cells), len(centres))


def _nearness(keys: Vectors, centres: Vectors, cells: Cells) -> Vectors:
    """The cosine [n] of each row's key with the centre of its cell."""
    return np.concatenate(
        [np.vecdot(keys[part], centres[cells[part]]) for part in blocks(len(keys))]
    )


def without_empty(cells: Cells, nearness: Vectors, number: int) -> Cells:
    """Cells 0 to ``number`` - 1 with a row at least in each, for as many rows or more.

    An empty cell takes the row that is least near to its own centre, of those that are not alone.

    >>> without_empty(np.array([0, 0, 0, 2]), np.array([0.9, 0.5, 0.7, 0.1]), 3).tolist()
    [0, 1, 0, 2]
    """
    cells = cells.copy()
    sizes = np.bincount(cells, minlength=number)
    empty = np.flatnonzero(sizes == 0).tolist()
    for row in nearness.argsort(kind="stable"):
        if not empty:
            break
        if sizes[cells[row]] > 1:
            sizes[cells[row]] -= 1
            cells[row] = empty.pop(0)
            sizes[cells[row]] = 1
    return cells


def blocks(rows: int, size: int = _BLOCK) -> Iterator[slice]:
    """Slices of at most ``size`` rows that cover all ``rows``."""
    return (slice(start, start + size) for start in range(0, rows, size))
