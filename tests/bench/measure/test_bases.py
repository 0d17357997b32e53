from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.measure import bases
from bench.measure.bases import GLUE, BaseSource, generated, parse
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import UserError
from reaugkd.retrieval.knowledge_base import KnowledgeBase

SIZE, DIM = 3000, 48


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> BaseSource:
    return generated(ArtifactStore(tmp_path_factory.mktemp("cache")), str(SIZE), DIM)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_every_glue_task_has_its_size_and_its_classes() -> None:
    assert len(GLUE) == 9
    assert list(GLUE.values()) == sorted(GLUE.values())
    assert parse("STS-B") == ("stsb", 5_749, 1)
    assert parse("MNLI") == ("mnli", 392_702, 3)


@pytest.mark.parametrize("text", ["mrcp", "", "-5", "1e5", "0"])
def test_a_size_that_is_none_is_one_clear_line(text: str) -> None:
    with pytest.raises(UserError, match="knowledge base"):
        parse(text)


def test_it_has_clusters_a_low_rank_and_duplicates(source: BaseSource) -> None:
    keys = KnowledgeBase.load(source.folder).keys
    spectrum = np.linalg.svd(keys - keys.mean(axis=0), compute_uv=False) ** 2
    noise = np.random.default_rng(0).standard_normal(keys.shape)
    white = np.linalg.svd(noise, compute_uv=False) ** 2
    assert spectrum[:24].sum() / spectrum.sum() > 0.95
    assert white[:24].sum() / white.sum() < 0.75
    copies = SIZE - len(np.unique(keys, axis=0))
    assert 0.5 < copies / (bases.DUPLICATES * SIZE) <= 1.0


def test_values_agree_with_where_the_keys_lie(source: BaseSource) -> None:
    """Neighbours mostly share their class: otherwise retrieval would be asked for noise."""
    base = KnowledgeBase.load(source.folder)
    classes = base.values.argmax(axis=1)
    similarities = base.keys[:500] @ base.keys.T
    similarities[np.arange(500), np.arange(500)] = -1.0
    nearest = similarities.argmax(axis=1)
    assert (classes[nearest] == classes[:500]).mean() > 0.7


def test_queries_are_near_the_keys_not_among_them_and_not_normalised(
    source: BaseSource,
) -> None:
    keys = KnowledgeBase.load(source.folder).keys
    best = (unit(source.queries) @ keys.T).max(axis=1)
    assert np.median(best) > 0.8
    assert (best < 1 - 1e-6).all()
    assert (np.linalg.norm(source.queries, axis=1) > 2).all()


def test_the_same_size_is_the_same_base_everywhere(source: BaseSource, tmp_path: Path) -> None:
    again = generated(ArtifactStore(tmp_path), str(SIZE), DIM)
    first, second = (KnowledgeBase.load(found.folder) for found in (source, again))
    assert again.identity == source.identity
    np.testing.assert_array_equal(first.keys, second.keys)
    np.testing.assert_array_equal(first.values, second.values)
    np.testing.assert_array_equal(source.queries, again.queries)
