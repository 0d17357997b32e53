"""Smaller entries: keys of fewer dimensions, values of 8 bits.

A query follows the keys by one small product with their *basis*. A value is held as *codes* from 0
to 255: of classes they sum to 255, of scores they divide the span from the lowest to the highest.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reaugkd.errors import EmbeddingError, UserError
from reaugkd.retrieval.normalise import Vectors, unit_queries, unit_rows

Span: TypeAlias = tuple[float, float]
Codes: TypeAlias = NDArray[np.uint8]

LEVELS = 255
"""Steps of a code, so that one byte holds it."""

NOTHING = 1e-6
"""A unit vector whose part along a basis is not longer than this is rounding: no direction."""

_BLOCK = 8192  # rows at a time in float64, and values at a time that are encoded


def fit(keys: Vectors, dims: int) -> Vectors:
    """The ``dims`` directions [D, dims] that keep most of unit keys [n, D]: orthonormal columns.

    They are the leading eigenvectors of the keys' second moments, in float64, as of a principal
    component analysis that does not subtract the mean. That is on purpose: retrieval compares by
    inner products, of which an uncentred projection onto n dimensions keeps as much as any can
    (Eckart and Young), while a centred one would compare other numbers, and every query would have
    to be shifted as well. With ``dims`` = D it is a rotation: the similarities stay.

    The sign of a direction is that which makes its largest component positive; equal keys, equal
    directions. A UserError tells that the keys are not that wide.
    """
    width = keys.shape[1]
    if not 1 <= dims <= width:
        raise UserError(f"keys of width {width} cannot be reduced to {dims}: from 1 to {width} can")
    moments = np.zeros((width, width))
    for start in range(0, len(keys), _BLOCK):
        block = keys[start : start + _BLOCK].astype(np.float64)
        moments += block.T @ block
    directions = np.linalg.eigh(moments)[1][:, ::-1][:, :dims]
    largest = np.abs(directions).argmax(axis=0)
    signs = np.sign(directions[largest, np.arange(dims)])
    return np.ascontiguousarray(directions * signs, dtype=np.float32)


def along(directions: Vectors, embeddings: ArrayLike) -> Vectors:
    """Unit queries [q, d] along ``directions`` [d, D] of embeddings [q, D] of any length.

    An EmbeddingError tells of another width, or names the first query without a direction.
    """
    rows = unit_queries(embeddings)
    if rows.shape[1] != directions.shape[1]:
        raise EmbeddingError(
            f"queries are {rows.shape[1]} wide, the basis of the keys {directions.shape[1]}"
        )
    components = product(rows, directions)
    if not (something := components.any(axis=1)).all():
        raise EmbeddingError(
            f"query {something.argmin()} has nothing in the {len(directions)} dimensions that the "
            "keys were reduced to"
        )
    return unit_queries(components)


def reduced(keys: Vectors, basis: Vectors) -> Vectors:
    """Unit keys [n, d] along ``basis`` [D, d] of unit keys [n, D].

    An EmbeddingError names the first key that has nothing along it.
    """
    rows = product(keys, transposed(basis))
    lost = np.einsum("ij,ij->i", rows, rows) <= NOTHING**2
    if lost.any():
        raise EmbeddingError(
            f"key {lost.argmax()} has nothing in the {basis.shape[1]} leading dimensions of the "
            f"keys: it would be found by chance; keep more of the {basis.shape[0]}"
        )
    return unit_rows(rows, "key")


def transposed(basis: Vectors) -> Vectors:
    """The directions [d, D] of a basis [D, d], each in one piece."""
    return np.ascontiguousarray(basis.T)


def product(rows: Vectors, directions: Vectors) -> Vectors:
    """Components [q, d] of ``rows`` [q, D] along ``directions`` [d, D].

    One inner product after another: a row's components do not depend on what is asked beside it,
    and no pool of threads wakes for them.
    """
    components: Vectors = np.vecdot(rows[:, None], directions)
    return components


def encode(values: NDArray[np.float32], span: Span | None = None) -> tuple[Codes, Span | None]:
    """Codes [n, C] of class probabilities, or of scores (C = 1) with their span.

    The span of scores is theirs unless another is given; a UserError names a score outside it.

    The codes of a row of probabilities sum to 255: each is rounded down and the largest remainders
    up (of equal ones the first), so that code / 255 is a distribution and each is off by less than
    1 / 255 where the row sums to 1. Of scores, the lowest and the highest are exact and each is
    off by at most half a step of (highest - lowest) / 255.

    >>> encode(np.array([[0.5, 0.25, 0.25]], np.float32))[0]
    array([[127,  64,  64]], dtype=uint8)
    >>> encode(np.array([[-1.0], [0.0], [4.0]], np.float32))
    (array([[  0],
           [ 51],
           [255]], dtype=uint8), (-1.0, 4.0))
    """
    if values.shape[1] == 1:
        span = (float(values.min()), float(values.max())) if span is None else span
        if (outside := (values < span[0]) | (values > span[1])).any():
            raise UserError(
                f"score {values[outside][0]} lies outside the span of the codes, {span[0]} to "
                f"{span[1]}: add it to the whole base, then round"
            )
        width = (span[1] - span[0]) or 1.0
        shares = (values.astype(np.float64) - span[0]) / width
        return np.rint(shares * LEVELS).astype(np.uint8), span
    codes = np.empty(values.shape, np.uint8)
    step = max(1, _BLOCK * 16 // values.shape[1])
    for start in range(0, len(values), step):
        codes[start : start + step] = _apportioned(values[start : start + step])
    return codes, None


def _apportioned(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Whole numbers [n, C] in proportion to the rows of ``values``, each row summing to 255."""
    exact = values.astype(np.float64)
    exact *= LEVELS / exact.sum(axis=1, keepdims=True)
    whole = np.floor(exact).astype(np.int64)
    missing = LEVELS - whole.sum(axis=1, keepdims=True)
    order = (whole - exact).argsort(axis=1, kind="stable")  # the largest remainder first
    rank = order.argsort(axis=1)
    codes: NDArray[np.int64] = whole + (rank < missing)
    return codes


def decode(codes: Codes, span: Span | None = None) -> Vectors:
    """What codes [..., C] stand for, in float32: probabilities, or scores of ``span``.

    >>> decode(np.array([[255, 0]], np.uint8))
    array([[1., 0.]], dtype=float32)
    """
    lowest, step = affine(codes.shape[-1], span)
    values = codes * step
    if lowest:
        values += lowest
    result: Vectors = values.astype(np.float32)
    return result


def affine(outputs: int, span: Span | None) -> tuple[float, float]:
    """What code 0 stands for, and what one step more does, of values with C ``outputs``."""
    if (outputs == 1) != (span is not None):
        raise ValueError("codes of scores have a span, codes of classes have none")
    lowest, highest = span or (0.0, 1.0)
    return lowest, (highest - lowest) / LEVELS


def as_numbers(values: NDArray[Any], span: Span | None = None) -> NDArray[Any]:
    """Values [..., C] in any dtype as numbers: uint8 are codes, all others stay as they are."""
    return decode(values, span) if values.dtype == np.uint8 else values
