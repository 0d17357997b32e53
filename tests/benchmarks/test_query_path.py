"""One query: all that retrieval adds after the student's forward, against the bare index call.

The cost of the contract (checks, normalisation, order) and of the mixture is a constant few dozen
microseconds; the ratio to the bare call falls as the knowledge base grows.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from statistics import median
from time import perf_counter_ns

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from reaugkd.retrieval import ann
from reaugkd.retrieval.ann.index import AnnIndex
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.mixing import augment
from reaugkd.retrieval.normalise import unit_rows

SIZE, WIDTH, K = 8551, 768, 10  # CoLA's knowledge base under a 768-wide student
LARGEST_RATIO = 2.0


def embeddings(rows: int, seed: int) -> np.ndarray:
    """Class clusters with a low-rank spread, as real embeddings lie: never white noise."""
    random, shared = np.random.default_rng(seed), np.random.default_rng(99)
    centres, directions = shared.standard_normal((2, WIDTH)), shared.standard_normal((24, WIDTH))
    spread = 0.5 * random.standard_normal((rows, 24)) @ directions
    noise = 0.2 * random.standard_normal((rows, WIDTH))
    return unit_rows(centres[random.integers(0, 2, rows)] + spread + noise)


@pytest.fixture(scope="module")
def base() -> KnowledgeBase:
    values = np.random.default_rng(0).dirichlet([1.0, 1.0], SIZE)
    return KnowledgeBase.build(embeddings(SIZE, seed=0), values, np.arange(SIZE))


@pytest.fixture(scope="module", params=["exact", "hnswlib", "faiss", "annoy"])
def index(request: pytest.FixtureRequest, base: KnowledgeBase) -> AnnIndex:
    index = ann.make(request.param)
    index.build(base.keys)
    return index


def steps(
    index: AnnIndex, base: KnowledgeBase
) -> tuple[Callable[[np.ndarray], object], Callable[[np.ndarray], object]]:
    """The bare call, and the whole path, for one embedding [1, d]."""
    student = np.array([[0.4, 0.6]], np.float32)

    def whole(query: np.ndarray) -> object:
        similarities, ids = index.search(query, K)
        return augment(student, similarities, ids, base.values, 0.1, 0.5)

    return lambda query: index._search(query, K), whole


def test_whole_path(benchmark: BenchmarkFixture, index: AnnIndex, base: KnowledgeBase) -> None:
    queries = cycle(np.split(embeddings(256, seed=1), 256))
    _, whole = steps(index, base)
    benchmark.group = f"one query, {index.name}"
    benchmark(lambda: whole(next(queries)))


def test_bare_call(benchmark: BenchmarkFixture, index: AnnIndex, base: KnowledgeBase) -> None:
    queries = cycle(np.split(embeddings(256, seed=1), 256))
    bare, _ = steps(index, base)
    benchmark.group = f"one query, {index.name}"
    benchmark(lambda: bare(next(queries)))


def test_the_path_adds_little_to_the_call(index: AnnIndex, base: KnowledgeBase) -> None:
    """Both in one loop, in alternating order, so that the machine's moods meet both."""
    times: tuple[list[int], list[int]] = ([], [])
    for turn, query in enumerate(np.split(embeddings(512, seed=2), 512)):
        pair = list(enumerate(steps(index, base)))
        for which, step in pair if turn % 2 else reversed(pair):
            start = perf_counter_ns()
            step(query)
            times[which].append(perf_counter_ns() - start)
    ratio = median(times[1]) / median(times[0])
    assert ratio < LARGEST_RATIO, f"{index.name}: the whole path takes {ratio:.2f} bare calls"
