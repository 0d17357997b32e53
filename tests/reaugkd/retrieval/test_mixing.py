"""Inference by retrieval: the numeric oracles of docs/methods and the laws of the mixture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reaugkd.retrieval import ann, mixing
from reaugkd.retrieval.ann.index import MISSING
from tests.reaugkd.retrieval.cases import VARIANTS, here, vectors


def probabilities(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(shape[-1]), shape[:-1])


def test_the_mixture_by_parts_and_at_once() -> None:
    student, values = np.array([[0.4, 0.6]]), np.array([[0.8, 0.2], [0.3, 0.7]])
    expected, weights = [[0.5224936203, 0.4775063797]], mixing.weights([[0.9, 0.1]], 1.0)
    np.testing.assert_allclose(weights, [[0.6899744811, 0.3100255189]], atol=1e-9, rtol=0)
    found = mixing.retrieved(weights, values[None])
    np.testing.assert_allclose(found, [[0.6449872406, 0.3550127594]], atol=1e-9, rtol=0)
    np.testing.assert_allclose(mixing.mix(student, found, 0.5), expected, atol=1e-9, rtol=0)
    at_once = mixing.augment(student, [[0.9, 0.1]], np.array([[0, 1]]), values, 1.0, 0.5)
    np.testing.assert_allclose(at_once, expected, atol=1e-9, rtol=0)


@given(tau=st.floats(1e-3, 1e3), missing=st.integers(0, 5), seed=st.integers(0, 99))
def test_weights_are_a_distribution_over_what_is_there(tau: float, missing: int, seed: int) -> None:
    similarities = -np.sort(-np.random.default_rng(seed).uniform(-1, 1, (4, 5)), axis=1)
    similarities[:, 5 - missing :] = -np.inf
    weights = mixing.weights(similarities.astype(np.float32), tau)
    assert (weights[:, 5 - missing :] == 0.0).all()
    np.testing.assert_allclose(weights.sum(axis=1), float(missing < 5), atol=1e-12)
    assert (np.diff(weights, axis=1) <= 0).all()


def test_tau_goes_from_the_nearest_to_the_mean() -> None:
    similarities = [[0.9, 0.8, 0.1]]
    np.testing.assert_allclose(mixing.weights(similarities, 1e-4), [[1, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(mixing.weights(similarities, 1e9), np.full((1, 3), 1 / 3), atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_beta_0_is_the_student_bit_for_bit_and_beta_1_the_neighbours(dtype: type) -> None:
    student = probabilities((7, 3)).astype(dtype)
    found = probabilities((7, 3), seed=1)
    alone = mixing.mix(student, found, 0.0)
    assert alone.dtype == dtype
    assert alone.tobytes() == student.tobytes()
    assert not np.shares_memory(alone, student)
    np.testing.assert_array_equal(mixing.mix(student, found, 1.0), found.astype(dtype))
    scores = np.array([[-0.0], [2.5]], dtype)  # the sign of zero is a bit too
    assert mixing.mix(scores, found[:2, :1], 0.0).tobytes() == scores.tobytes()
    assert (
        mixing.augment(
            student, np.ones((7, 2)), np.zeros((7, 2), int), probabilities((4, 3)), 0.1, 0.0
        ).tobytes()
        == student.tobytes()
    )


@given(beta=st.floats(0, 1), seed=st.integers(0, 99))
def test_a_mixture_of_distributions_is_one(beta: float, seed: int) -> None:
    mixed = mixing.mix(probabilities((5, 4), seed), probabilities((5, 4), seed + 100), beta)
    np.testing.assert_allclose(mixed.sum(axis=1), 1.0, atol=1e-12)
    assert (mixed >= 0).all()


def test_missing_neighbours_gather_nothing() -> None:
    values = np.array([[0.5, 0.5], [np.nan, np.nan]])  # whatever an id of -1 would gather
    student, ids = np.array([[0.9, 0.1]] * 3), np.array([[0, -1], [-1, -1], [0, 0]])
    similarities = np.array([[0.3, -np.inf], [-np.inf, -np.inf], [0.3, 0.3]])
    mixed = mixing.augment(student, similarities, ids, values, 0.1, 0.5)
    np.testing.assert_allclose(mixed[[0, 2]], [[0.7, 0.3]] * 2, atol=1e-12)
    assert mixed[1].tobytes() == student[1].tobytes()
    gathered = mixing.neighbour_values(values, ids)
    assert (gathered[0, 1] == 0).all()
    assert (gathered[1] == 0).all()


def test_scores_of_a_regression_are_averaged() -> None:
    found = mixing.retrieved([[0.5, 0.5], [0.0, 0.0]], [[[2.0], [4.0]]] * 2)
    mixed = mixing.mix(np.array([[1.0], [1.0]]), found, 0.5)
    np.testing.assert_array_equal(mixed, [[2.0], [1.0]])  # zero is a score, nothing is not


@pytest.mark.parametrize("spec", [*map(here, [*ann.BACKENDS, *VARIANTS])])
def test_a_query_in_the_knowledge_base_returns_its_own_label_at_k_1(spec: str) -> None:
    values = probabilities((300, 3))
    index = ann.make(spec)
    index.build(vectors())
    index.effort = ([index.effort, *index.efforts(1)])[-1]
    similarities, ids = index.search(vectors(), 1)
    for tau in (0.05, 1.0, 7.0):  # a single neighbour has all the weight at any temperature
        found = mixing.augment(probabilities((300, 3), 5), similarities, ids, values, tau, 1.0)
        np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("tau", [0.03, 1.0])
def test_an_entry_with_a_count_weighs_like_as_many_equal_ones(tau: float) -> None:
    counts, similarities = np.array([3, 1, 2]), np.array([0.9, 0.4, 0.1])
    values, student = probabilities((3, 4)), probabilities((1, 4), 1)
    ids = np.arange(3)[None]
    expanded = np.repeat(np.arange(3), counts)
    expected = mixing.augment(
        student, similarities[None, expanded], expanded[None], values, tau, 0.6
    )
    mixed = mixing.augment(student, similarities[None], ids, values, tau, 0.6, counts)
    np.testing.assert_allclose(mixed, expected, atol=1e-12)
    alone = mixing.augment(student, similarities[None], ids, values, tau, 0.6)
    ones = mixing.augment(student, similarities[None], ids, values, tau, 0.6, np.ones(3, int))
    assert ones.tobytes() == alone.tobytes()


def test_a_missing_neighbour_has_no_weight_whatever_its_count() -> None:
    counts, ids = np.array([10**12, 5]), np.array([[1, MISSING], [MISSING, MISSING]])
    logs = mixing.neighbour_log_counts(counts, ids)
    np.testing.assert_allclose(logs, [[np.log(5), 0], [0, 0]])
    shares = mixing.weights([[0.1, -np.inf], [-np.inf, -np.inf]], 0.1, logs)
    np.testing.assert_array_equal(shares, [[1, 0], [0, 0]])
    assert mixing.neighbour_log_counts(None, ids) is None


def test_without_self() -> None:
    similarities = np.array([[1.0, 0.9, 0.8], [1.0, 1.0, 0.2], [0.5, 0.4, -np.inf]], np.float32)
    ids = np.array([[4, 7, 2], [9, 3, 1], [0, 5, MISSING]])
    kept, rows = mixing.without_self(similarities, ids, [4, 3, -1])
    np.testing.assert_array_equal(rows, [[7, 2], [9, 1], [0, 5]])
    np.testing.assert_array_equal(kept, np.array([[0.9, 0.8], [1.0, 0.2], [0.5, 0.4]], np.float32))
