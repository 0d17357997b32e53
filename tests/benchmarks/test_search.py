"""Search through every installed backend, tuned to the same recall, at two sizes and two batches.

WNLI's and CoLA's number of entries, 768 wide, on one thread; the figures of pytest-benchmark are
per call. The laws hold on any machine: they are ratios within one loop. About half a minute, most
of it building and tuning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import median
from time import perf_counter_ns
from typing import Any, NamedTuple

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from threadpoolctl import threadpool_limits

from bench.measure import bases
from bench.measure.bases import BaseSource
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.retrieval import ann
from reaugkd.retrieval.ann.exact import Exact
from reaugkd.retrieval.ann.index import AnnIndex
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.tuning import Truth, tune

SMALL, LARGE = 635, 8_551  # WNLI's and CoLA's
WIDTH, K, RECALL, QUERIES, ROUNDS = 768, 10, 0.99, 512, 64
BACKENDS = [name for name in ann.BACKENDS if name != "auto" and ann.BACKENDS.entry(name).installed]
GRAPHS = [name for name in BACKENDS if name not in ("exact", "annoy")]


class Tuned(NamedTuple):
    """An index with the least effort that reaches the recall, and that recall."""

    index: AnnIndex
    recall: float


Find = Callable[[str, int], Tuned]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[int, BaseSource]:
    store = ArtifactStore(tmp_path_factory.mktemp("bases"))
    return {size: bases.generated(store, str(size), WIDTH) for size in (SMALL, LARGE)}


@pytest.fixture(scope="module")
def find(sources: dict[int, BaseSource]) -> Find:
    """Builds and tunes an index when a test first asks for it."""
    made: dict[tuple[str, int], Tuned] = {}
    truths: dict[int, Truth] = {}

    def get(spec: str, size: int) -> Tuned:
        if (spec, size) not in made:
            keys = KnowledgeBase.load(sources[size].folder).keys
            if size not in truths:
                exact = Exact()
                exact.build(keys)
                truths[size] = Truth(exact, sources[size].queries[QUERIES : 2 * QUERIES], K)
            index = ann.make(spec, build_threads=2)
            index.build(keys)
            made[spec, size] = Tuned(index, tune(index, truths[size], RECALL).recall)
        return made[spec, size]

    return get


def nanoseconds(calls: list[Callable[[int], Any]], rounds: int = ROUNDS) -> list[float]:
    """Medians of ``calls``, given the number of the round, in one loop in alternating order."""
    times: list[list[int]] = [[] for _ in calls]
    for number in range(rounds + 4):
        for which in sorted(range(len(calls)), reverse=bool(number % 2)):
            start = perf_counter_ns()
            calls[which](number)
            if number >= 4:  # warm
                times[which].append(perf_counter_ns() - start)
    return [median(one) for one in times]


@pytest.mark.parametrize("batch", [1, 32])
@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("spec", BACKENDS)
def test_search(
    benchmark: BenchmarkFixture,
    find: Find,
    sources: dict[int, BaseSource],
    spec: str,
    size: int,
    batch: int,
) -> None:
    index, recall = find(spec, size)
    parts = np.split(sources[size].queries[:QUERIES], QUERIES // batch)
    benchmark.group = f"search, {size} entries, {batch} at a time"
    benchmark.extra_info |= {"effort": index.effort, "recall": recall, "bytes": index.nbytes}
    turn = iter(range(1 << 62))
    benchmark.pedantic(
        lambda: index.search(parts[next(turn) % len(parts)], K),
        rounds=QUERIES // batch,
        warmup_rounds=4,
    )
    # A compressed index may not reach the target; what is timed must still be a search.
    assert recall > 0.8


@pytest.mark.parametrize("spec", GRAPHS)
def test_a_graph_grows_slower_than_exact_search(
    find: Find, sources: dict[int, BaseSource], spec: str
) -> None:
    """With 13 times the entries, exact search takes many times as long, a graph hardly more."""
    calls: list[Callable[[int], Any]] = []
    for name in ("exact", spec):
        for size in (SMALL, LARGE):
            queries = np.split(sources[size].queries[:QUERIES], QUERIES)
            index = find(name, size).index
            calls.append(lambda number, i=index, q=queries: i.search(q[number], K))
    exact_small, exact_large, small, large = nanoseconds(calls)
    print(f"\n{spec}: x {large / small:.1f}, exact: x {exact_large / exact_small:.1f}")
    assert large / small < 0.8 * exact_large / exact_small


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_batch_of_exact_searches_is_cheaper_than_its_queries(
    find: Find, sources: dict[int, BaseSource], size: int
) -> None:
    """One matrix product reads the keys once."""
    queries, index = sources[size].queries[:32], find("exact", size).index
    rows = np.split(queries, 32)
    together, apart = nanoseconds(
        [lambda _: index.search(queries, K), lambda _: [index.search(row, K) for row in rows]],
        rounds=16,
    )
    print(f"\n{size}: {apart / together:.1f} times")
    assert together < 0.8 * apart
