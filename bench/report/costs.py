"""What retrieval costs: memory of the knowledge base and the index, time to build and to search."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from bench.records.run import RetrievalResult
from bench.report.results import Pairs, Results


@dataclass(frozen=True)
class Cost:
    """Medians over n seeds; seconds, bytes, and microseconds per query."""

    task: str
    title: str
    method: str
    index: str
    n: int
    entries: float
    width: float
    kb_bytes: float
    index_bytes: float
    build_seconds: float
    search_us_p50: float
    search_us_p95: float
    largest_k: int


def costs(results: Results) -> list[Cost]:
    """The cost of every (task, method, index)."""
    return [_cost(index, pairs) for (_, _, index), pairs in results.by_index.items()]


def _cost(index: str, pairs: Pairs) -> Cost:
    def median(value: Callable[[RetrievalResult], float]) -> float:
        return float(statistics.median(value(result) for _, result in pairs))

    record, _ = pairs[0]
    return Cost(
        task=record.task,
        title=record.title,
        method=record.method,
        index=index,
        n=len(pairs),
        entries=median(lambda r: r.entries),
        width=median(lambda r: r.width),
        kb_bytes=median(lambda r: r.kb_bytes),
        index_bytes=median(lambda r: r.search.index_bytes),
        build_seconds=median(lambda r: r.search.build_seconds),
        search_us_p50=median(lambda r: r.search.search_us_p50),
        search_us_p95=median(lambda r: r.search.search_us_p95),
        largest_k=max(max(result.ks) for _, result in pairs),
    )
