"""How good probabilities are, and the temperature that makes them as good as scaling can."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reaugkd.retrieval.mixing import probabilities

LEAST = 1e-7
"""Probabilities below this count as this: a label of probability 0 costs 16 nats, not infinity."""

COOLEST, HOTTEST = 0.02, 50.0  # between these the temperature is sought


def loss(outputs: ArrayLike, labels: ArrayLike) -> dict[str, float]:
    """What final outputs lose against the truth, by its name; smaller is better.

    ``nll``, the mean negative log-likelihood in nats, of probabilities [n, C] and class ids [n], or
    ``mse`` of scores [n, 1].

    >>> loss([[0.5, 0.5], [0.25, 0.75]], [0, 1])
    {'nll': 0.490...}
    >>> loss([[1.0], [3.0]], [1.0, 1.0])
    {'mse': 2.0}
    """
    answers, truth = np.asarray(outputs, dtype=np.float64), np.asarray(labels)
    if answers.shape[1] == 1:
        return {"mse": float(np.mean((answers[:, 0] - truth) ** 2))}
    likely = answers[np.arange(len(answers)), truth]
    return {"nll": float(-np.log(np.maximum(likely, LEAST)).mean())}


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """The T that minimises the negative log-likelihood of softmax(logits / T) (Guo et al., 2017).

    In log T, between :data:`COOLEST` and :data:`HOTTEST`, for logits [n, C] with C > 1 and class
    ids [n] of rows that nothing was learned from.

    >>> fit_temperature([[3.0, 0.0]] * 4, [0, 0, 0, 1])  # 3 / T = ln 3
    2.7307...
    """
    from scipy.optimize import minimize_scalar

    scores, truth = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    true_scores = scores[np.arange(len(scores)), truth]

    def nll(log_t: float) -> float:
        scaled, t = scores / math.exp(log_t), math.exp(log_t)
        top = scaled.max(axis=1)
        total = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
        return float((total - true_scores / t).mean())

    bounds = (math.log(COOLEST), math.log(HOTTEST))
    minimum = minimize_scalar(nll, bounds=bounds, method="bounded", options={"xatol": 1e-8})
    return math.exp(minimum.x)


def scaled(logits: NDArray[Any], temperature: float) -> NDArray[Any]:
    """softmax(logits / T), [n, C] in the dtype of ``logits``; T = 1 is the student bit for bit."""
    return probabilities(logits if temperature == 1 else logits / np.float32(temperature))
