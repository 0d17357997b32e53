"""Rows of unit length, checked: what every index and every knowledge base is made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reaugkd.errors import EmbeddingError

Vectors = NDArray[np.float32]

UNIT_TOLERANCE = 1e-5
"""How far a squared norm may be from 1 for its row to be used as it is (float32 rounding)."""

SUM_TOLERANCE = 1e-3
"""How far a row of probabilities may sum from 1 (softmax in half precision)."""

_SAFE_LEAST, _SAFE_MOST = 1e-20, 1e20
"""Squared norms that float32 computes without overflow and without losing what underflows."""

_BLOCK = 8192  # rows that are normalised at a time, so that the float64 work space stays small


def unit_rows(vectors: ArrayLike, what: str = "vector") -> Vectors:
    """Rows of length 1, as a C-contiguous float32 array [n, d], from any real dtype and layout.

    Rows that fit already are returned as they are, without a copy; otherwise each row is divided
    by its norm in float64, scaled first so that no finite row overflows or underflows. An
    EmbeddingError names the first row (a ``what``) that holds NaN or infinity or is all zeros.

    >>> unit_rows([[3.0, 4.0], [0.0, 2.0]])
    array([[0.6, 0.8],
           [0. , 1. ]], dtype=float32)
    """
    rows = np.asarray(vectors)
    if rows.ndim != 2 or rows.dtype.kind not in "fiu":
        raise EmbeddingError(
            f"expected one real {what} per row [n, d], got {rows.dtype} of shape {rows.shape}"
        )
    if rows.dtype == np.float32 and rows.flags.c_contiguous:
        # NaN and infinity fail the comparison too; an overflow is no more than "not unit".
        with np.errstate(over="ignore", invalid="ignore"):
            squares = np.einsum("ij,ij->i", rows, rows)
            if (np.abs(squares - 1.0) <= UNIT_TOLERANCE).all():
                return rows
    unit = np.empty(rows.shape, dtype=np.float32)
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK].astype(np.float64)
        largest = np.abs(block).max(axis=1, initial=0.0)
        bad = np.flatnonzero(~(np.isfinite(largest) & (largest > 0.0)))
        if bad.size:
            flaw = "is all zeros" if largest[bad[0]] == 0.0 else "holds NaN or infinity"
            raise EmbeddingError(f"{what} {start + bad[0]} {flaw}: it has no cosine similarity")
        block /= largest[:, None]
        block /= np.sqrt(np.einsum("ij,ij->i", block, block))[:, None]
        unit[start : start + _BLOCK] = block
    return unit


def unit_queries(queries: ArrayLike) -> Vectors:
    """Rows of length 1 like :func:`unit_rows`, in float32 where that loses nothing.

    A query is normalised on the way of a single answer, so float32 rows are divided by their
    float32 norm: as good as the rounding of the cosines that follow. Every other dtype, and rows
    with a norm that is not finite, zero or extreme, go the careful way. Never written to.

    >>> unit_queries(np.array([[3.0, 4.0]], np.float32))
    array([[0.6, 0.8]], dtype=float32)
    """
    rows = np.asarray(queries)
    if rows.dtype != np.float32 or rows.ndim != 2:
        return unit_rows(rows, "query")
    rows = np.ascontiguousarray(rows)
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.einsum("ij,ij->i", rows, rows)
        if not ((squares > _SAFE_LEAST) & (squares < _SAFE_MOST)).all():
            return unit_rows(rows, "query")
        if (np.abs(squares - 1.0) <= UNIT_TOLERANCE).all():
            return rows
    unit: Vectors = rows / np.sqrt(squares)[:, None]
    return unit
