"""Metrics of classes and errors of scores as products with counts of resampled examples.

Each takes predictions [M, N] and labels [N] and gives a function from counts [r, N] to the metric
[r, M], see :mod:`bench.stats.bootstrap`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.float32]
Weigh = Callable[[Counts], Floats]
"""From counts [r, N] to the metric [r, M]."""

DRAWS_AT_ONCE = 2**22
"""Draws (resamples x examples) per chunk: 32 MiB of int64."""


def sums(which: NDArray[np.bool_]) -> Weigh:
    """Sums of counts where ``which`` [M, N] holds; exact below 2**24 examples."""
    columns = np.ascontiguousarray(which.T, np.float32)
    return lambda drawn: (drawn @ columns).astype(np.float64)


def sizes(drawn: Counts) -> Floats:
    """Rows of each resample [r, 1]."""
    return np.asarray(drawn.sum(axis=1, dtype=np.float64, keepdims=True), np.float64)


def accuracy(predictions: NDArray[Any], labels: NDArray[Any]) -> Weigh:
    """The share of equal classes."""
    right = sums(predictions == labels)
    return lambda drawn: right(drawn) / sizes(drawn)


def f1(predictions: NDArray[Any], labels: NDArray[Any]) -> Weigh:
    """F1 of class 1 of two; 0 when it is neither predicted nor drawn."""
    both = sums((predictions == 1) & (labels == 1))
    said, true = sums(predictions == 1), sums(labels[None] == 1)
    return lambda drawn: quotient(2 * both(drawn), said(drawn) + true(drawn))


def balanced_accuracy(predictions: NDArray[Any], labels: NDArray[Any]) -> Weigh:
    """The mean, over the classes that are drawn, of the share of their rows that is found."""
    classes = np.unique(labels)
    both = [sums((predictions == each) & (labels == each)) for each in classes]
    true = [sums(labels[None] == each) for each in classes]

    def weigh(drawn: Counts) -> Floats:
        sizes = [part(drawn) for part in true]
        shares = sum(quotient(part(drawn), n) for part, n in zip(both, sizes, strict=True))
        return np.asarray(shares / sum(n > 0 for n in sizes), np.float64)

    return weigh


def f1_of_classes(*, weighted: bool) -> Callable[[NDArray[Any], NDArray[Any]], Weigh]:
    """The mean F1 of the classes that are drawn or predicted, or weighted by what is drawn."""

    def prepare(predictions: NDArray[Any], labels: NDArray[Any]) -> Weigh:
        classes = np.union1d(predictions, labels)
        both = [sums((predictions == each) & (labels == each)) for each in classes]
        said, true = _occurrences(predictions, labels, classes)

        def weigh(drawn: Counts) -> Floats:
            total = np.zeros((len(drawn), len(predictions)))
            weights = np.zeros_like(total)
            for right, given, wanted in zip(both, said, true, strict=True):
                n = wanted(drawn)
                either = given(drawn) + n
                weight = np.broadcast_to(n, either.shape) if weighted else either > 0
                total += weight * quotient(2 * right(drawn), either)
                weights += weight
            return quotient(total, weights)

        return weigh

    return prepare


def _occurrences(
    predictions: NDArray[Any], labels: NDArray[Any], classes: NDArray[Any]
) -> tuple[list[Weigh], list[Weigh]]:
    """Per class how often it is predicted, and how often it is true."""
    said = [sums(predictions == each) for each in classes]
    return said, [sums(labels[None] == each) for each in classes]


def matthews(predictions: NDArray[Any], labels: NDArray[Any]) -> Weigh:
    """Of any number of classes (Gorodkin 2004), as scikit-learn's."""
    classes = np.union1d(predictions, labels)
    right = sums(predictions == labels)
    said, true = _occurrences(predictions, labels, classes[:-1])

    def weigh(drawn: Counts) -> Floats:
        n = sizes(drawn)
        given, wanted = [part(drawn) for part in said], [part(drawn) for part in true]
        for parts in (given, wanted):
            parts.append(n - sum(parts))  # the last class is the rest: whole numbers, no product
        together = n * right(drawn) - sum(p * t for p, t in zip(given, wanted, strict=True))
        spread = n**2 - sum(p**2 for p in given)
        spread_true = n**2 - sum(t**2 for t in wanted)
        return quotient(together, np.sqrt(spread * spread_true))

    return weigh


def mae(predictions: NDArray[Any], labels: NDArray[Any]) -> Weigh:
    """The mean absolute error of scores."""
    errors = np.abs(np.asarray(predictions, np.float64) - labels).T
    return lambda drawn: drawn @ errors / sizes(drawn)


def rmse(predictions: NDArray[Any], labels: NDArray[Any]) -> Weigh:
    """The root of the mean squared error of scores."""
    squares = ((np.asarray(predictions, np.float64) - labels) ** 2).T
    return lambda drawn: np.sqrt(drawn @ squares / sizes(drawn))


def quotient(over: Floats, under: Floats) -> Floats:
    """``over / under``, and 0 where nothing is to be divided by."""
    return np.divide(over, under, out=np.zeros(np.broadcast(over, under).shape), where=under > 0)
