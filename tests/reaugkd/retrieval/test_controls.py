"""Smaller knowledge bases and those that must not help: laws of subsets, shuffles, random keys."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reaugkd.retrieval import controls, mixing
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from tests.reaugkd.retrieval.cases import queries, vectors

SEEDS = st.integers(0, 2**31)


@given(st.integers(1, 200), st.data(), SEEDS)
def test_subsets_are_nested_ascending_and_without_repetition(
    rows: int, data: st.DataObject, seed: int
) -> None:
    small, large = sorted(data.draw(st.tuples(*[st.integers(1, rows)] * 2)))
    inner, outer = (controls.subset(rows, size, seed) for size in (small, large))
    assert set(inner) <= set(outer) <= set(range(rows))
    for found, size in ((inner, small), (outer, large)):
        assert len(found) == size
        assert (np.diff(found) > 0).all()


@given(SEEDS)
def test_a_shuffle_keeps_the_values_and_their_number(seed: int) -> None:
    values = np.arange(40).reshape(20, 2)
    found = controls.shuffled(values, seed)
    assert sorted(found.tolist()) == values.tolist()
    assert np.array_equal(found, controls.shuffled(values, seed))


def test_seeds_draw_differently_and_so_do_purposes() -> None:
    values = np.arange(50)
    assert not np.array_equal(controls.shuffled(values, 0), controls.shuffled(values, 1))
    assert set(controls.subset(50, 10, 0)) != set(controls.subset(50, 10, 1))
    assert set(controls.shuffled(values, 0)[:10]) != set(controls.subset(50, 10, 0))
    assert not np.array_equal(controls.random_keys(5, 4, 0), controls.random_keys(5, 4, 1))


def test_random_keys_are_of_unit_length_in_every_direction() -> None:
    keys = controls.random_keys(4000, 8, seed=0)
    assert keys.dtype == np.float32
    assert np.allclose(np.linalg.norm(keys, axis=1), 1, atol=1e-6)
    assert np.abs(keys.mean(axis=0)).max() < 4 / np.sqrt(4000 * 8)
    assert np.array_equal(keys, controls.random_keys(4000, 8, seed=0))


def test_shuffled_labels_still_hold_the_prior() -> None:
    """Asked for all entries with equal weights, a shuffled base answers as the plain one does."""
    keys, asked = vectors(30), queries()[:5]
    values = np.random.default_rng(0).dirichlet(np.ones(3), 30)
    plain = KnowledgeBase.build(keys, values, np.arange(30))
    mixed = KnowledgeBase.build(keys, controls.shuffled(values, 0), np.arange(30))
    similarities = asked @ plain.keys.T
    ids = np.tile(np.arange(30), (5, 1))
    own = np.full((5, 3), 1 / 3)
    answers = [
        mixing.augment(own, similarities, ids, base.values, 1e9, 1.0) for base in (plain, mixed)
    ]
    assert np.allclose(answers[0], values.mean(axis=0), atol=1e-6)
    assert np.allclose(answers[1], answers[0], atol=1e-6)
