"""Condensing a large knowledge base: 60,000 keys, 384 wide, to 256 entries.

The goals are k-means in 10 s and learned prototypes in 60 s on two cores; both take one thread, so
their CPU seconds say it on a busy machine too. Half a minute, and as much for merging.
"""

from __future__ import annotations

from time import process_time

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from reaugkd.retrieval import condense, mixing
from reaugkd.retrieval.clusters import Clusters
from reaugkd.retrieval.condense.condenser import Asked, Questions
from reaugkd.retrieval.knowledge_base import KnowledgeBase

ROWS, WIDTH, ENTRIES, HELD_OUT = 60_000, 384, 256, 6_000


@pytest.fixture(scope="module")
def base() -> KnowledgeBase:
    embeddings, logits = Clusters(WIDTH).draw(ROWS, seed=1)
    return KnowledgeBase.build(embeddings, mixing.probabilities(logits), np.arange(ROWS))


@pytest.fixture(scope="module")
def questions(base: KnowledgeBase) -> Questions:
    """A student that says what the teacher says, with embeddings beside the keys."""
    noise = np.random.default_rng(0).standard_normal(base.keys.shape, np.float32)
    queries = base.keys + 0.5 / np.sqrt(WIDTH) * noise
    fit = Asked(queries, base.values, base.values.argmax(axis=1))
    embeddings, logits = Clusters(WIDTH).draw(HELD_OUT, seed=2)
    student = mixing.probabilities(logits).astype(np.float32)
    return Questions(fit, Asked(embeddings.astype(np.float32), student, logits.argmax(axis=1)))


@pytest.mark.parametrize(("name", "most"), [("kmeans", 10), ("learned", 60), ("cnn", 60)])
def test_condense(
    benchmark: BenchmarkFixture, base: KnowledgeBase, questions: Questions, name: str, most: int
) -> None:
    """In ``most`` CPU seconds."""
    benchmark.group = f"{ROWS} keys to {ENTRIES}"
    began = process_time()
    condensed = benchmark.pedantic(
        condense.make(f"{name}:{ENTRIES}"), (base, questions), rounds=1, warmup_rounds=0
    )
    seconds = process_time() - began
    benchmark.extra_info |= {"entries": len(condensed), "cpu_seconds": seconds}
    assert len(condensed) <= ENTRIES
    assert seconds < most


@pytest.mark.slow
def test_merge(benchmark: BenchmarkFixture, base: KnowledgeBase) -> None:
    """The first round compares all rows of a class: quadratic, a minute."""
    benchmark.group = f"{ROWS} keys to {ENTRIES}"
    merged = benchmark.pedantic(
        condense.make(f"merge:{ENTRIES}"), (base,), rounds=1, warmup_rounds=0
    )
    assert merged.counts is not None
    assert (len(merged), merged.counts.sum()) == (ENTRIES, ROWS)
