"""One query: all that retrieval adds after the student's forward, against the bare library call.

The bare call is what a user of the library would write for a unit query, with one thread, and
nothing around it. The whole path is :class:`QueryPath`: tensors in, tensor out. Both run in one
alternating loop over the same queries, so that the machine's moods meet both; once as they come,
and once after 32 MiB have been written to before each, which leaves the caches about as a forward
pass does: then whatever the path touches beside the call is as cold as the index itself.

Run ``pytest tests/benchmarks/test_query_path.py -s`` for the ratios.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter_ns
from typing import Any

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from threadpoolctl import threadpool_limits

from reaugkd.retrieval import ann
from reaugkd.retrieval.ann.index import AnnIndex
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.normalise import unit_rows
from reaugkd.retrieval.query import QueryPath
from tests.reaugkd.retrieval.cases import here

WIDTH, K = 768, 10
SIZES = (635, 8551)  # WNLI's and CoLA's knowledge base
BACKENDS = ("exact", "hnswlib", "faiss", "annoy", "usearch", "svs", "voyager")
LARGEST_RATIO = {635: 3.0, 8551: 1.6}  # sane on a shared machine; the goal is 1.15 on a quiet one
QUERIES = 400

Call = Callable[[int], object]


def embeddings(rows: int, seed: int) -> np.ndarray:
    """Class clusters with a low-rank spread, as real embeddings lie: never white noise."""
    random, shared = np.random.default_rng(seed), np.random.default_rng(99)
    centres, directions = shared.standard_normal((2, WIDTH)), shared.standard_normal((24, WIDTH))
    spread = 0.5 * random.standard_normal((rows, 24)) @ directions
    noise = 0.2 * random.standard_normal((rows, WIDTH))
    return unit_rows(centres[random.integers(0, 2, rows)] + spread + noise)


@pytest.fixture(scope="module", params=SIZES, ids=lambda size: f"{size}x{WIDTH}")
def base(request: pytest.FixtureRequest) -> KnowledgeBase:
    size = request.param
    values = np.random.default_rng(0).dirichlet([1.0, 1.0], size)
    return KnowledgeBase.build(embeddings(size, seed=0), values, np.arange(size))


@pytest.fixture(scope="module", params=[*map(here, BACKENDS)])
def index(request: pytest.FixtureRequest, base: KnowledgeBase) -> AnnIndex:
    index = ann.make(request.param)
    index.build(base.keys)
    return index


def bare(index: AnnIndex, base: KnowledgeBase, queries: np.ndarray) -> Call:
    """The library's own call for query number i, as its documentation writes it."""
    held: Any = index
    rows = np.split(queries, len(queries))
    if index.name == "exact":

        def brute(number: int) -> object:
            cosines = base.keys @ queries[number]
            nearest = np.argpartition(cosines, -K)[-K:]
            nearest = nearest[np.argsort(-cosines[nearest])]
            return nearest, cosines[nearest]

        return brute
    if index.name == "hnswlib":
        held._graph.set_ef(64)
        return lambda number: held._graph.knn_query(rows[number], k=K, num_threads=1)
    if index.name == "faiss":
        return lambda number: held._index.search(rows[number], K)
    if index.name == "annoy":  # takes arrays too, more slowly than their lists
        return lambda number: held._forest.get_nns_by_vector(
            queries[number].tolist(), K, search_k=-1, include_distances=True
        )
    index.search(rows[0], K)  # sets the effort
    if index.name == "usearch":
        return lambda number: held._graph.search(queries[number], K, threads=1)
    if index.name == "svs":
        return lambda number: held._graph.search(rows[number], K)
    return lambda number: held._graph.query(queries[number], K, 1, index.effort)


def whole(index: AnnIndex, base: KnowledgeBase, queries: np.ndarray) -> Call:
    """The whole path for query number i: a raw embedding and logits, as a forward leaves them."""
    path = QueryPath(index, base.values, k=K, tau=0.1, beta=0.5)
    tensors = torch.from_numpy(17.0 * queries).split(1)
    logits = torch.randn(len(queries), 2, generator=torch.Generator().manual_seed(0)).split(1)
    return lambda number: path(logits[number], tensors[number])


def test_whole_path(benchmark: BenchmarkFixture, index: AnnIndex, base: KnowledgeBase) -> None:
    call = whole(index, base, embeddings(256, seed=1))
    benchmark.group = f"one query, {index.name}, {index.size}"
    turn = iter(range(1 << 62))
    with torch.inference_mode(), threadpool_limits(1):
        benchmark(lambda: call(next(turn) % 256))


def test_bare_call(benchmark: BenchmarkFixture, index: AnnIndex, base: KnowledgeBase) -> None:
    call = bare(index, base, embeddings(256, seed=1))
    benchmark.group = f"one query, {index.name}, {index.size}"
    turn = iter(range(1 << 62))
    with threadpool_limits(1):
        benchmark(lambda: call(next(turn) % 256))


@pytest.mark.parametrize("flushed", [False, True], ids=["hot", "flushed"])
def test_the_path_adds_little_to_the_call(
    index: AnnIndex, base: KnowledgeBase, flushed: bool
) -> None:
    queries = embeddings(QUERIES, seed=2)
    calls = (bare(index, base, queries), whole(index, base, queries))
    memory = np.zeros(8 << 20, np.float32)
    times: tuple[list[int], list[int]] = ([], [])
    with torch.inference_mode(), threadpool_limits(1):
        for number in range(QUERIES):
            for which in (0, 1) if number % 2 else (1, 0):
                if flushed:
                    memory += 1.0
                # Two queries, or the second call would find the way of the first in the cache.
                asked = (number + which * QUERIES // 2) % QUERIES
                start = perf_counter_ns()
                calls[which](asked)
                times[which].append(perf_counter_ns() - start)
    ratio = median(times[1]) / median(times[0])
    print(
        f"\n{index.name} {index.size} {'flushed' if flushed else 'hot'}: bare "
        f"{median(times[0]) / 1e3:.0f} us, whole {median(times[1]) / 1e3:.0f} us, {ratio:.2f}"
    )
    assert ratio < LARGEST_RATIO[index.size], (
        f"{index.name}: the whole path takes {ratio:.2f} bare calls"
    )
