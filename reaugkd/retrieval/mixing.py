"""From neighbours to an answer: weights, the retrieved distribution, the mixture.

ReAugKD's inference: w = softmax(s / tau) over the k neighbours, p_ret = sum_k w_k p_k,
p = (1 - beta) p_student + beta p_ret. Beta is the weight of what was retrieved; regression
mixes scores in the same way. An entry that stands for n rows may weigh like n of them: then
w = softmax(s / tau + log n). Pure functions of arrays, float64 inside.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reaugkd.retrieval.ann.index import Ids
from reaugkd.retrieval.compress import Span, as_numbers

Floats = NDArray[np.float64]


def probabilities(logits: ArrayLike) -> NDArray[Any]:
    """Softmax of logits [q, C] at temperature 1; the scores themselves where C = 1.

    float32 and float64 keep their dtype.

    >>> probabilities(np.log([[0.2, 0.6]]))
    array([[0.25, 0.75]])
    """
    scores = np.asarray(logits)
    if scores.shape[1] == 1:
        return scores
    exact = scores.astype(np.float64)
    powers = np.exp(exact - exact.max(axis=1, keepdims=True))
    result: NDArray[Any] = (powers / powers.sum(axis=1, keepdims=True)).astype(scores.dtype)
    return result


def weights(
    similarities: ArrayLike, tau: float, log_counts: NDArray[np.float64] | None = None
) -> Floats:
    """Softmax of similarity / tau over the neighbours of each query, [q, k].

    -inf stands for a missing neighbour, whose weight is exactly 0; other rows sum to 1.
    ``log_counts`` [q, k], natural logarithms of the rows that the neighbours stand for, are added
    to similarity / tau: an entry of n rows weighs like n equal entries.

    >>> weights([[0.9, 0.1], [0.3, -np.inf]], tau=1.0).round(4)
    array([[0.69, 0.31],
           [1.  , 0.  ]])
    """
    scaled = np.asarray(similarities, dtype=np.float64) / tau
    if log_counts is not None:
        scaled += log_counts
    top = scaled.max(axis=1, keepdims=True)
    top[top == -np.inf] = 0.0  # -inf - -inf would be NaN
    powers = np.exp(scaled - top)
    total = powers.sum(axis=1, keepdims=True)
    total[total == 0.0] = 1.0
    result: Floats = powers / total
    return result


def neighbour_log_counts(counts: NDArray[np.int64] | None, ids: Ids) -> Floats | None:
    """Logarithms [q, k] of the counts [n] of neighbours [q, k], for :func:`weights`.

    0 where the id is missing, which weighs nothing anyway; None without counts.
    """
    if counts is None:
        return None
    result: Floats = np.log(np.where(ids < 0, 1, counts.take(ids, mode="clip")))
    return result


def neighbour_values(values: NDArray[Any], ids: Ids, span: Span | None = None) -> NDArray[Any]:
    """Values [n, C] of neighbours [q, k] as [q, k, C]; zeros where the id is missing.

    Codes of 8 bits become the numbers that they stand for; those of scores need their ``span``.
    """
    gathered = as_numbers(values.take(ids, axis=0, mode="clip"), span)
    missing = ids < 0
    if missing.any():
        gathered[missing] = 0.0
    return gathered


def retrieved(weights: ArrayLike, values: ArrayLike) -> Floats:
    """The mean [q, C] of the neighbours' values [q, k, C] by weights [q, k].

    NaN for a query without any neighbour, as nothing is not a distribution.

    >>> retrieved([[0.75, 0.25]], [[[1.0, 0.0], [0.0, 1.0]]])
    array([[0.75, 0.25]])
    """
    shares = np.asarray(weights, dtype=np.float64)
    mean: Floats = (shares[:, None, :] @ np.asarray(values, dtype=np.float64))[:, 0]
    mean[~shares.any(axis=1)] = np.nan
    return mean


def mix(student: NDArray[Any], retrieved: NDArray[Any], beta: float) -> NDArray[Any]:
    """(1 - beta) student + beta retrieved, both [q, C], in the student's dtype.

    Beta 0 is the student bit for bit; where ``retrieved`` is NaN its own answer stands.

    >>> mix(np.array([[0.4, 0.6]]), np.array([[0.8, 0.2]]), beta=0.5)
    array([[0.6, 0.4]])
    """
    if beta == 0.0:
        return student.copy()
    mixed = (1.0 - beta) * student.astype(np.float64) + beta * retrieved
    return np.where(np.isnan(retrieved), student, mixed).astype(student.dtype, copy=False)


def augment(
    student: NDArray[Any],
    similarities: ArrayLike,
    ids: Ids,
    values: NDArray[Any],
    tau: float,
    beta: float,
    counts: NDArray[np.int64] | None = None,
    span: Span | None = None,
) -> NDArray[Any]:
    """The whole way from the answers of an index to the mixture, as serving runs it.

    ``student`` is [q, C]; ``similarities`` and ``ids`` [q, k] are rows of ``values`` [n, C],
    negative where missing. With ``counts`` [n] an entry weighs like the rows that it stands for;
    ``span`` is that of scores in 8 bits. The mixture [q, C] has the student's dtype; with beta 0
    nothing is gathered.
    """
    if beta == 0.0:
        return student.copy()
    shares = weights(similarities, tau, neighbour_log_counts(counts, ids))
    mean = retrieved(shares, neighbour_values(values, ids, span))
    return mix(student, mean, beta)


def without_self(
    similarities: NDArray[np.float32], ids: Ids, own: ArrayLike
) -> tuple[NDArray[np.float32], Ids]:
    """The neighbours [q, k] of queries that are in the knowledge base themselves.

    Of a search for k + 1, the row ``own`` [q] is left out, or the last where it is absent or
    negative.
    """
    is_self = ids == np.where(np.asarray(own) < 0, ids.max() + 1, own)[:, None]
    keep = np.argsort(is_self, axis=1, kind="stable")[:, :-1]
    return np.take_along_axis(similarities, keep, axis=1), np.take_along_axis(ids, keep, axis=1)
