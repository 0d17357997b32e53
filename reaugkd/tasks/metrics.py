"""Metrics by name, computed by scikit-learn and scipy, with a number for every degenerate case.

Those of :data:`METRICS` are of answers: class ids, or scores. Those of :data:`PROBABILISTIC` are of
the probabilities behind them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
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


def balanced_accuracy(predictions: Array, labels: Array) -> float:
    """The mean, over the classes that there are, of the share of their rows that is found."""
    from sklearn.metrics import balanced_accuracy_score

    with warnings.catch_warnings():
        # A class that is answered though no row has it is an ordinary outcome here.
        warnings.simplefilter("ignore", UserWarning)
        return float(balanced_accuracy_score(labels, predictions))


def f1_macro(predictions: Array, labels: Array) -> float:
    """The mean F1 of the classes that are present or predicted."""
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predictions, average="macro", zero_division=0.0))


def f1_weighted(predictions: Array, labels: Array) -> float:
    """The mean F1 of the classes, each weighted by its rows."""
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predictions, average="weighted", zero_division=0.0))


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


def mae(predictions: Array, labels: Array) -> float:
    """The mean absolute error of scores."""
    from sklearn.metrics import mean_absolute_error

    return float(mean_absolute_error(labels, predictions))


def rmse(predictions: Array, labels: Array) -> float:
    """The root of the mean squared error of scores."""
    from sklearn.metrics import mean_squared_error

    return sqrt(mean_squared_error(labels, predictions))


def auroc(probabilities: Array, labels: Array) -> float:
    """The area under the ROC curve: of class 1 of two, else the mean over class against the rest.

    Of the classes that some rows have and others have not; 0.5 where there is none.
    """
    from sklearn.metrics import roc_auc_score

    classes = range(1, 2) if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    truths = ((label, labels == label) for label in classes)
    areas = [
        roc_auc_score(truth, probabilities[:, label])
        for label, truth in truths
        if 0 < truth.sum() < len(truth)
    ]
    return float(np.mean(areas)) if areas else 0.5


def log_loss(probabilities: Array, labels: Array) -> float:
    """The mean negative log-likelihood of the true classes, in nats."""
    from sklearn.metrics import log_loss as of_sklearn

    return float(of_sklearn(labels, probabilities, labels=list(range(probabilities.shape[1]))))


def ece(probabilities: Array, labels: Array) -> float:
    """Expected calibration error (Guo et al. 2017): mean gap of confidence and accuracy in bins.

    Rows are put into :data:`BINS` bins by the probability of their answer, each gap weighs as many
    rows as are in its bin. scikit-learn has none.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, weights=confidence - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(labels))


BINS = 15  # of the expected calibration error, as in Guo et al. (2017)

_OF_CLASSES = (accuracy, balanced_accuracy, f1_macro, f1_weighted, f1, matthews)
_OF_SCORES = (pearson, spearman, mae, rmse)

METRICS: dict[str, Callable[[Array, Array], float]] = {
    metric.__name__: metric for metric in (*_OF_CLASSES, *_OF_SCORES)
}
PROBABILISTIC: dict[str, Callable[[Array, Array], float]] = {
    metric.__name__: metric for metric in (auroc, log_loss, ece)
}
LOWER_IS_BETTER = frozenset({"mae", "rmse", "log_loss", "ece"})
UNBOUNDED = frozenset({"mae", "rmse", "log_loss"})
"""Metrics that are no shares, so that percent of them mean nothing."""

SELECTING = tuple(name for name in METRICS if name not in LOWER_IS_BETTER)
"""Metrics that can choose: higher is better, and answers decide them, which comparisons keep."""


def choose(task: Task, names: Sequence[str]) -> Task:
    """``task`` with the metrics ``names``, of which the first selects.

    Raises:
        UnknownNameError: a metric that there is not.
        UserError: one that is not of this kind of task, or cannot select.
    """
    fitting = [metric.__name__ for metric in (_OF_SCORES if task.regression else _OF_CLASSES)]
    fitting += [] if task.regression else [*PROBABILISTIC]
    for name in names:
        if name not in {**METRICS, **PROBABILISTIC}:
            raise UnknownNameError("metric", name, {**METRICS, **PROBABILISTIC})
        if name not in fitting:
            kind = "scores" if task.regression else "classes"
            raise UserError(
                f"metric '{name}' is not of {kind}, which {task.title} has: {', '.join(fitting)}"
            )
        if name == "f1" and task.outputs != 2:
            raise UserError(
                f"metric 'f1' is of two classes, {task.title} has {task.outputs}: take f1_macro or "
                "f1_weighted"
            )
    first = names[0]
    if first not in SELECTING:
        why = "lower is better" if first in LOWER_IS_BETTER else "it needs probabilities"
        raise UserError(
            f"metric '{first}' cannot come first: the first one chooses epochs, k and beta and is "
            f"compared between methods, and of this one {why}; first comes one of "
            f"{', '.join(name for name in fitting if name in SELECTING)}"
        )
    chosen = task.chosen or first != task.select_on
    return replace(task, metrics=tuple(names), select_on=first, chosen=chosen)


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
    if not PROBABILISTIC.keys() & set(task.metrics):
        return score(task.metrics, predictions(task, logits), labels)
    from scipy.special import softmax

    predictions(task, logits)  # which says what is wrong with them
    return of_probabilities(task, softmax(np.asarray(logits, np.float64), axis=1), labels)


def of_probabilities(task: Task, outputs: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """All metrics of ``task`` for probabilities [n, C], or scores [n, 1], and labels [n]."""
    scores = score(answered(task), predictions(task, outputs), labels)
    if others := [name for name in task.metrics if name in PROBABILISTIC]:
        exact, truth = np.asarray(outputs, np.float64), np.asarray(labels)
        exact = exact / exact.sum(axis=1, keepdims=True)  # float32 sums to 1 but roughly
        scores |= {name: PROBABILISTIC[name](exact, truth) for name in others}
    return {name: scores[name] for name in task.metrics}


def answered(task: Task) -> list[str]:
    """Those metrics of ``task`` that answers decide, without the probabilities behind them."""
    return [name for name in task.metrics if name in METRICS]


def _finite(values: Array) -> None:
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise UserError(f"{bad} of {values.size} model outputs are NaN or infinite: cannot score")


def majority(task: Task, fit_labels: ArrayLike, test_labels: ArrayLike) -> dict[str, float]:
    """Scores of the constant answer learnt from ``fit``: its commonest class or its mean score.

    Its probabilities are the shares of the classes.
    """
    learnt, tested = np.asarray(fit_labels), np.asarray(test_labels)
    if task.regression:
        errors = [name for name in task.metrics if name in LOWER_IS_BETTER]
        mean = np.full(len(tested), learnt.mean(dtype=np.float64))
        # A constant has correlation 0 by our rule; here that is no surprise worth a warning.
        return dict.fromkeys(task.metrics, 0.0) | score(errors, mean, tested)
    shares = np.bincount(learnt, minlength=task.outputs) / len(learnt)
    return of_probabilities(task, np.tile(shares, (len(tested), 1)), tested)


def accuracy_standard_error(accuracy: float, rows: int) -> float:
    """Standard error of one accuracy over ``rows`` independent examples.

    >>> round(accuracy_standard_error(0.7, 277), 3)
    0.028
    """
    return sqrt(accuracy * (1 - accuracy) / rows)
