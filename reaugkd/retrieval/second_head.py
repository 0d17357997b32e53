"""The parametric counterpart of a knowledge base: a linear head in place of neighbours.

Learned from the same answers over the student's frozen embeddings it has the same information and
looks nothing up. What it gains is no gain of retrieval.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

STRENGTHS = (0.001, 0.01, 0.1, 1.0)
"""Inverse weights of the L2 penalty to choose from (scikit-learn's C; its default is 1)."""

STEPS = 500  # most steps of the optimiser


@dataclass(frozen=True)
class SecondHead:
    """A fitted head: ``LogisticRegression``, or ``Ridge`` for scores, over standardised embeddings.

    ``converged`` tells whether the fit ended before :data:`STEPS`.
    """

    scaler: Any
    model: Any
    converged: bool

    def __call__(self, embedding: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities [n, C], or scores [n, 1], for embeddings [n, d]."""
        x = self.scaler.transform(embedding)
        if hasattr(self.model, "predict_proba"):
            return np.asarray(self.model.predict_proba(x), dtype=np.float64)
        return np.asarray(self.model.predict(x), dtype=np.float64).reshape(-1, 1)


def fit(
    embedding: NDArray[np.float32], values: NDArray[np.floating[Any]], strength: float
) -> SecondHead:
    """Fit a head to soft labels [n, C], or scores [n, 1], over the student's embeddings [n, d].

    The cross-entropy with a soft label is that of all classes weighted by it, so every row stands
    once per class with the class's probability as its weight. Scores are fitted by least squares.
    ``strength`` is the inverse weight of the L2 penalty, above 0, beside the sum over rows.
    """
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler()
    x = scaler.fit_transform(np.asarray(embedding))
    classes = values.shape[1]
    if classes == 1:
        return SecondHead(scaler, Ridge(alpha=1 / strength).fit(x, values[:, 0]), converged=True)
    model = LogisticRegression(C=strength, max_iter=STEPS)
    labels = np.tile(np.arange(classes), len(x))
    model.fit(np.repeat(x, classes, axis=0), labels, sample_weight=np.asarray(values).ravel())
    return SecondHead(scaler, model, converged=bool(model.n_iter_.max() < STEPS))
