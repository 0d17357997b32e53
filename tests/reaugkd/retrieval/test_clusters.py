"""Laws of generated embeddings: what a graph index finds in a teacher's, and noise has not."""

from __future__ import annotations

import numpy as np
import pytest

from reaugkd.retrieval.clusters import RANK, Clusters
from reaugkd.retrieval.normalise import unit_rows


@pytest.mark.parametrize("classes", [1, 2, 5])
@pytest.mark.parametrize("dim", [5, 32, 768])
def test_every_width_and_number_of_classes_is_drawn_alike(dim: int, classes: int) -> None:
    (rows, logits), (again, _) = (Clusters(dim, classes).draw(300, seed=1) for _ in range(2))
    assert (rows.shape, logits.shape) == ((300, dim), (300, classes))
    np.testing.assert_array_equal(rows, again)


def test_they_are_of_low_rank_and_queries_are_near_but_not_among_them() -> None:
    space = Clusters(768)
    vectors, queries = (unit_rows(space.draw(300, seed)[0]) for seed in (1, 0))
    spectrum = np.linalg.svd(vectors - vectors.mean(axis=0), compute_uv=False) ** 2
    assert spectrum[: RANK + 1].sum() > 0.9 * spectrum.sum()
    nearest = (queries @ vectors.T).max(axis=1)
    noise = unit_rows(np.random.default_rng(0).standard_normal((600, 768)))
    assert nearest.mean() > 0.8 > (noise[:300] @ noise[300:].T).max(axis=1).mean()
    assert nearest.max() < 1 - 1e-6
