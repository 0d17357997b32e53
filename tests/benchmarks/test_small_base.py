"""One query over a base of a few hundred entries: exact search, and all that surrounds it, hot.

The bare call is a product of numpy with all keys, its partition and the order of the nearest. It
and the whole path (:class:`QueryPath`: tensors in, tensor out) take turns in one loop over the same
queries; of blocks of calls the fastest counts, which a busy machine disturbs least.

Run ``pytest tests/benchmarks/test_small_base.py -s`` for the microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle
from time import perf_counter_ns

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from threadpoolctl import threadpool_limits

from bench.measure.timing import quiet_gc
from reaugkd.retrieval import ann
from reaugkd.retrieval.clusters import Clusters
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.query import QueryPath

QUERIES, BLOCK, ROUNDS = 256, 50, 60
SIZES, WIDTHS = (64, 256, 1024), (384, 768)
LARGEST_RATIO = {2: 4.0, 77: 6.0}
"""Sane on a busy machine, where the smallest base's product takes 2 us; seen: 2.7 and 3.9."""

Call = Callable[[], object]


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    with torch.inference_mode(), threadpool_limits(1), quiet_gc():
        yield


def base_of(entries: int, width: int, classes: int) -> KnowledgeBase:
    keys, _ = Clusters(width).draw(entries, seed=0)
    values = np.random.default_rng(0).dirichlet(np.ones(classes), entries)
    counts = 1 + np.arange(entries) % 9
    return KnowledgeBase.build(keys, values, np.arange(entries), counts=counts)


def bare(base: KnowledgeBase, k: int) -> Call:
    asked = cycle(base.queries(Clusters(base.width).draw(QUERIES, seed=1)[0].astype(np.float32)))

    def call() -> object:
        cosines = base.keys @ next(asked)
        nearest = np.argpartition(cosines, -k)[-k:]
        nearest = nearest[np.argsort(-cosines[nearest])]
        return nearest, cosines[nearest]

    return call


def whole(base: KnowledgeBase, k: int, **settings: bool | float) -> Call:
    index = ann.make("exact")
    index.build(base.keys)
    path = QueryPath.over(base, index, k=k, tau=0.1, beta=0.4, **settings)  # type: ignore[arg-type]
    embeddings = torch.from_numpy(Clusters(base.width).draw(QUERIES, seed=1)[0].astype(np.float32))
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(QUERIES, base.values.shape[1], generator=generator)
    asked = cycle(list(zip(logits.split(1), embeddings.split(1), strict=True)))
    return lambda: path(*next(asked))


def microseconds(*calls: Call) -> list[float]:
    """The fastest block of each call, per call, in one loop in alternating order."""
    times: list[list[int]] = [[] for _ in calls]
    for number in range(ROUNDS):
        for which in sorted(range(len(calls)), reverse=bool(number % 2)):
            start = perf_counter_ns()
            for _ in range(BLOCK):
                calls[which]()
            times[which].append(perf_counter_ns() - start)
    return [min(each) / BLOCK / 1e3 for each in times]


@pytest.mark.parametrize("classes", [2, 77])
@pytest.mark.parametrize("k", [4, 10])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("entries", SIZES)
def test_one_query(
    benchmark: BenchmarkFixture, entries: int, width: int, k: int, classes: int
) -> None:
    benchmark.group = f"one query, exact, {entries}x{width}"
    benchmark(whole(base_of(entries, width, classes), k))


@pytest.mark.parametrize("classes", [2, 77])
@pytest.mark.parametrize("k", [4, 10])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("entries", SIZES)
def test_the_path_costs_a_few_products(entries: int, width: int, k: int, classes: int) -> None:
    base = base_of(entries, width, classes)
    product, path = microseconds(bare(base, k), whole(base, k))
    print(
        f"\n{entries}x{width}, k {k}, {classes} classes: bare {product:.1f} us, whole {path:.1f}, "
        f"ratio {path / product:.2f}"
    )
    assert path / product < LARGEST_RATIO[classes]


@pytest.mark.parametrize("classes", [2, 77])
def test_what_makes_entries_smaller_costs_little_time(classes: int) -> None:
    """Counts, 8 bits and fewer dimensions; and a skipped text costs less than the search."""
    base = base_of(256, 384, classes)
    calls = {
        "as it is": whole(base, 10),
        "counts": whole(base, 10, weigh=True),
        "8 bits": whole(base.quantised(), 10),
        "64 dimensions": whole(base.compressed(64), 10),
        "skipped": whole(base, 10, skip_above=0.0),
    }
    times = dict(zip(calls, microseconds(*calls.values()), strict=True))
    print(
        f"\n{classes} classes:", ", ".join(f"{name} {time:.1f} us" for name, time in times.items())
    )
    assert all(time < 2.0 * times["as it is"] for time in times.values())
    assert times["skipped"] < times["as it is"]
