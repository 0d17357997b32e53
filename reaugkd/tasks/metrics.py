"""GLUE's metrics, computed by scikit-learn and scipy, with a number for every degenerate case."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from math import isfinite, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reaugkd.errors import UnknownNameError, UserError
from reaugkd.tasks.task import Task

Array = NDArray[Any]


class ConstantScoresWarning(UserWarning):
    """A correlation of constant scores was asked for; it counts as 0."""


def accuracy(predictions: Array, labels: Array) -> float:
    """The share of equal classes."""
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(labels, predictions))


def f1(predictions: Array, labels: Array) -> float:
    """F1 of class 1 of two; 0 when class 1 is neither predicted nor present."""
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predictions, zero_division=0.0))


def matthews(predictions: Array, labels: Array) -> float:
    """Matthews' correlation; 0 when predictions or labels are of one class."""
    from sklearn.metrics import matthews_corrcoef

    with warnings.catch_warnings():
        # One class on both sides is an ordinary outcome here, not a slip in the call.
        warnings.simplefilter("ignore", UserWarning)
        return float(matthews_corrcoef(labels, predictions))


def pearson(predictions: Array, labels: Array) -> float:
    """Pearson's correlation; 0 with a warning where it is not defined."""
    from scipy.stats import pearsonr

    return _correlation("pearson", pearsonr, predictions, labels)


def spearman(predictions: Array, labels: Array) -> float:
    """Spearman's rank correlation; 0 with a warning where it is not defined."""
    from scipy.stats import spearmanr

    return _correlation("spearman", spearmanr, predictions, labels)


def _correlation(name: str, function: Any, predictions: Array, labels: Array) -> float:
    first, second = np.asarray(predictions, np.float64), np.asarray(labels, np.float64)
    value = float("nan")
    if np.ptp(first) > 0 and np.ptp(second) > 0:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = float(function(first, second).statistic)
    if not isfinite(value):
        warnings.warn(
            f"{name} of constant scores is not defined; it counts as 0",
            ConstantScoresWarning,
            stacklevel=4,
        )
        return 0.0
    return value


METRICS: dict[str, Callable[[Array, Array], float]] = {
    metric.__name__: metric for metric in (accuracy, f1, matthews, pearson, spearman)
}


def score(names: Iterable[str], predictions: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """The named metrics of ``predictions`` [n] against ``labels`` [n]; every value is finite.

    >>> score(["accuracy", "f1"], [1, 0, 1, 1], [1, 0, 0, 1])
    {'accuracy': 0.75, 'f1': 0.8}
    """
    first, second = np.asarray(predictions), np.asarray(labels)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"predictions {first.shape} and labels {second.shape} must be one [n]")
    if not len(first):
        raise UserError("no rows to score")
    _finite(first)
    result = {}
    for name in names:
        if name not in METRICS:
            raise UnknownNameError("metric", name, METRICS)
        result[name] = METRICS[name](first, second)
    return result


def predictions(task: Task, outputs: ArrayLike) -> Array:
    """Class ids [n] int64 (argmax), or scores [n], from the outputs [n, C] of a model."""
    array = np.asarray(outputs)
    if array.ndim != 2 or array.shape[1] != task.outputs:
        raise ValueError(f"outputs of {task.title} must be [n, {task.outputs}], not {array.shape}")
    _finite(array)
    return array[:, 0] if task.regression else array.argmax(axis=1)


def of_logits(task: Task, logits: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """All metrics of ``task`` for the outputs [n, C] of a model and labels [n]."""
    return score(task.metrics, predictions(task, logits), labels)


def _finite(values: Array) -> None:
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise UserError(f"{bad} of {values.size} model outputs are NaN or infinite: cannot score")


def majority(task: Task, fit_labels: ArrayLike, test_labels: ArrayLike) -> dict[str, float]:
    """Scores of the constant answer learnt from ``fit``: its commonest class or its mean score."""
    learnt, tested = np.asarray(fit_labels), np.asarray(test_labels)
    if task.regression:
        # A constant has correlation 0 by our rule; here that is no surprise worth a warning.
        return dict.fromkeys(task.metrics, 0.0)
    answer = np.bincount(learnt).argmax()
    return score(task.metrics, np.full_like(tested, answer), tested)


def accuracy_standard_error(accuracy: float, rows: int) -> float:
    """Standard error of one accuracy over ``rows`` independent examples.

    >>> round(accuracy_standard_error(0.7, 277), 3)
    0.028
    """
    return sqrt(accuracy * (1 - accuracy) / rows)
