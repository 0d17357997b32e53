"""The second head: soft labels as weights, against a direct minimisation of the same objective."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from reaugkd.retrieval import second_head
from reaugkd.retrieval.mixing import probabilities

RANDOM = np.random.default_rng(1)
N, WIDTH = 120, 4


def given(classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings and soft labels that depend on them."""
    x = RANDOM.normal(size=(N, WIDTH), loc=3, scale=(1, 2, 3, 4))
    logits = x @ RANDOM.normal(size=(WIDTH, classes)) + RANDOM.normal(size=(N, classes))
    return x, probabilities(logits)


def test_it_minimises_the_cross_entropy_with_the_soft_labels() -> None:
    x, soft = given(3)
    head = second_head.fit(x, soft, strength=0.5)
    z = (x - x.mean(0)) / x.std(0)

    def objective(flat: np.ndarray) -> float:
        weights = flat.reshape(WIDTH + 1, 3)
        likely = probabilities(z @ weights[:-1] + weights[-1])
        penalty = 0.5 * (weights[:-1] ** 2).sum()
        return float(-0.5 * (soft * np.log(likely)).sum() + penalty)

    best = minimize(objective, np.zeros((WIDTH + 1) * 3), tol=1e-10).x.reshape(-1, 3)
    assert np.allclose(head(x), probabilities(z @ best[:-1] + best[-1]), atol=1e-3)
    assert head.converged


@pytest.mark.parametrize("classes", [2, 3])
def test_it_answers_with_distributions(classes: int) -> None:
    x, soft = given(classes)
    found = second_head.fit(x, soft, 0.1)(x.astype(np.float32))
    assert found.shape == (N, classes)
    assert np.allclose(found.sum(axis=1), 1)


def test_scores_are_fitted_by_least_squares() -> None:
    x = RANDOM.normal(size=(N, WIDTH))
    truth = x @ [[1.0], [-2.0], [0.5], [0.0]] + 4
    assert np.allclose(second_head.fit(x, truth, strength=1e6)(x), truth, atol=1e-4)


def test_units_of_the_embedding_do_not_matter() -> None:
    x, soft = given(2)
    moved = second_head.fit(10 * x + 5, soft, 0.1)(10 * x + 5)
    assert np.allclose(second_head.fit(x, soft, 0.1)(x), moved, atol=1e-4)
