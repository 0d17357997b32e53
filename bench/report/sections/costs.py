"""Costs of retrieval: memory of the knowledge base and the index, time to build and to search.

A row per task, method and index: medians over ``n`` seeds; seconds, bytes, and microseconds per
query. Data only: the table of indexes shows them.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from bench.records.results import Results
from bench.report.frame import typed
from bench.report.inputs import RunInputs
from bench.report.section import Section

if TYPE_CHECKING:
    from pandas import DataFrame

SEARCH = ("index_bytes", "build_seconds", "search_us_p50", "search_us_p95")
MEDIANS = {name: name for name in ("entries", "width", "kb_bytes")} | {
    name: f"search.{name}" for name in SEARCH
}
"""Figure -> where a result of retrieval has it."""


def lines(results: Results) -> Iterator[dict[str, Any]]:
    """The rows of one run, as plain values."""
    for (task, method, index), pairs in results.by_index.items():
        yield {
            "task": task,
            "title": pairs[0][0].title,
            "method": method,
            "index": index,
            "n": len(pairs),
            **{
                name: float(statistics.median(attrgetter(path)(result) for _, result in pairs))
                for name, path in MEDIANS.items()
            },
            "largest_k": max(max(result.ks) for _, result in pairs),
        }


def _rows(inputs: RunInputs) -> DataFrame:
    return typed(lines(inputs.results))


SECTION = Section("costs", "Costs of retrieval", _rows)
