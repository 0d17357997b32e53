"""How exact an index is against the time it takes, backend by backend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from bench.report.charts.form import Axis, Mark, picture
from bench.report.charts.overhead import backend, panels, place
from bench.report.charts.points import Points
from bench.report.frame import Row, rows
from bench.report.names import shorter
from bench.report.section import Picture
from bench.report.summary import each, number

if TYPE_CHECKING:
    from pandas import DataFrame

RECALL = Axis("recall, %")


def by_search_time(effects: DataFrame, costs: DataFrame) -> Iterator[Picture]:
    """Of the indexes of a run: a panel per task and test split, a point per student's index.

    Args:
        effects: the frame of retrieval.
        costs: that of what it costs.
    """
    times = {(row.task, row.method, row.index): row.search_us_p50 for row in rows(costs)}
    shown = [
        row
        for row in rows(effects)
        if row.recall.mean is not None and (row.task, row.method, row.index) in times
    ]
    names = shorter(dict.fromkeys(row.index for row in shown))
    if len(names) < 2:
        return  # one index has nothing to be compared with
    yield picture(
        "recall-by-search-time",
        "Recall against search time",
        (_searched(row, names, times[row.task, row.method, row.index]) for row in shown),
        Points(Axis("one search, µs (median)", log=True), RECALL),
        (
            f"Recall@{each([row.k_max for row in shown])} against exact search, of the test "
            "split's queries. A point is a student; means over seeds. Search time: one query, one "
            "thread, index call only, in a hot loop.",
        ),
    )


def _searched(row: Row, names: Mapping[str, str], time: float) -> Mark:
    index, recall = names[row.index], 100 * row.recall.mean
    return {
        "panel": row.title,
        "series": index,
        "x": time,
        "y": recall,
        "text": f"{row.method}, {index}: {recall:.2f} % at {number(time)} µs",
        "task": row.task,
        "method": row.method,
        "index": row.index,
    }


def by_added_time(frame: DataFrame) -> Iterator[Picture]:
    """Of measured latency: a panel per batch and precision, a point per knowledge base."""
    shown = [row for row in rows(frame) if row.result is not None and row.index is not None]
    if len({row.cell.backend for row in shown}) < 2:
        return
    yield picture(
        "recall-by-added-time",
        "Recall against the time that retrieval adds",
        (_added(name, row) for name, group in panels(shown).items() for row in group),
        Points(Axis("added time, ms per batch (median)", log=True), RECALL),
        (
            "A point is a knowledge base; the larger it is, the further right. Recall of queries "
            "that the search effort was not tuned on; each backend's effort is tuned to the same "
            "target.",
        ),
    )


def _added(name: str, row: Row) -> Mark:
    recall, time = 100 * row.index.recall, row.result.added.p50
    return {
        "panel": name,
        "series": row.cell.backend,
        "x": time,
        "y": recall,
        "text": f"{row.cell.base} ({row.cell.size:,}), {backend(row)}: {recall:.2f} % in "
        f"{time:.3f} ms, effort {row.index.effort}",
        **place(row),
    }
