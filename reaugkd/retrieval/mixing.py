"""From neighbours to an answer: weights, the retrieved distribution, the mixture.

ReAugKD's inference: w = softmax(s / tau) over the k neighbours, p_ret = sum_k w_k p_k,
p = (1 - beta) p_student + beta p_ret. Beta is the weight of what was retrieved; regression
mixes scores in the same way. Pure functions of arrays, float64 inside.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reaugkd.retrieval.ann.index import Ids

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


def weights(similarities: ArrayLike, tau: float) -> Floats:
    """Softmax of similarity / tau over the neighbours of each query.

    Args:
        similarities: [q, k], -inf where there is no neighbour.
        tau: temperature, above 0.

    Returns:
        [q, k]: rows sum to 1; exactly 0 where missing, so a row without any neighbour is zeros.

    >>> weights([[0.9, 0.1], [0.3, -np.inf]], tau=1.0).round(4)
    array([[0.69, 0.31],
           [1.  , 0.  ]])
    """
    scaled = np.asarray(similarities, dtype=np.float64) / tau
    top = scaled.max(axis=1, keepdims=True)
    top[top == -np.inf] = 0.0  # -inf - -inf would be NaN
    powers = np.exp(scaled - top)
    total = powers.sum(axis=1, keepdims=True)
    total[total == 0.0] = 1.0
    result: Floats = powers / total
    return result


def neighbour_values(values: NDArray[Any], ids: Ids) -> NDArray[Any]:
    """Values [n, C] of neighbours [q, k] as [q, k, C]; zeros where the id is missing."""
    gathered = values.take(ids, axis=0, mode="clip")
    missing = ids < 0
    if missing.any():
        gathered[missing] = 0.0
    return gathered


def retrieved(weights: ArrayLike, values: ArrayLike) -> Floats:
    """The weighted mean of the neighbours' values.

    Args:
        weights: [q, k] as :func:`weights` gives them.
        values: [q, k, C] as :func:`neighbour_values` gives them.

    Returns:
        [q, C]; NaN for a query without any neighbour, as nothing is not a distribution.

    >>> retrieved([[0.75, 0.25]], [[[1.0, 0.0], [0.0, 1.0]]])
    array([[0.75, 0.25]])
    """
    shares = np.asarray(weights, dtype=np.float64)
    mean: Floats = (shares[:, None, :] @ np.asarray(values, dtype=np.float64))[:, 0]
    mean[~shares.any(axis=1)] = np.nan
    return mean


def mix(student: NDArray[Any], retrieved: NDArray[Any], beta: float) -> NDArray[Any]:
    """(1 - beta) student + beta retrieved, in the student's dtype.

    Args:
        student: [q, C] probabilities, or scores.
        retrieved: [q, C]; where it is NaN the student's own answer stands.
        beta: weight of what was retrieved, in [0, 1]; 0 is the student bit for bit.

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
) -> NDArray[Any]:
    """The whole way from the answers of an index to the mixture, as serving runs it.

    Args:
        student: [q, C] probabilities, or scores.
        similarities: [q, k] and ``ids`` [q, k], as an index answers.
        ids: rows of ``values``, negative where missing.
        values: [n, C] of the knowledge base.
        tau: temperature of the weights.
        beta: weight of what was retrieved; with 0 nothing is gathered.

    Returns:
        [q, C] in the student's dtype.
    """
    if beta == 0.0:
        return student.copy()
    mean = retrieved(weights(similarities, tau), neighbour_values(values, ids))
    return mix(student, mean, beta)


def without_self(
    similarities: NDArray[np.float32], ids: Ids, own: ArrayLike
) -> tuple[NDArray[np.float32], Ids]:
    """The neighbours of queries that are in the knowledge base themselves, one column fewer.

    Args:
        similarities: [q, k + 1] of a search for one neighbour more than needed.
        ids: [q, k + 1].
        own: [q], the row of each query in the knowledge base, negative if it is not in it.

    Returns:
        Similarities and ids [q, k]: without the own row, or without the last where it is absent.
    """
    is_self = ids == np.where(np.asarray(own) < 0, ids.max() + 1, own)[:, None]
    keep = np.argsort(is_self, axis=1, kind="stable")[:, :-1]
    return np.take_along_axis(similarities, keep, axis=1), np.take_along_axis(ids, keep, axis=1)
