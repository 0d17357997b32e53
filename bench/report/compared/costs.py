"""What the same thing cost in several runs, side by side. Times compare machines as well.

Two frames, of training (a row per task, method and run, medians over its ``n`` seeds) and of
retrieval (a row per index and run). ``relative``: seconds, or the median search, over the same of
the first run; what the first run lacks, or has alone, is left out.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bench.records.run import Record, TrainingResult
from bench.report.compared.differences import RUN
from bench.report.compared.inputs import CompareInputs
from bench.report.frame import typed
from bench.report.section import METHOD, TASK, Column, Section, View
from bench.report.sections import costs
from bench.report.summary import number, size

if TYPE_CHECKING:
    from pandas import DataFrame

Line = dict[str, Any]


def _trained(inputs: CompareInputs) -> DataFrame:
    lines: dict[Any, list[Line]] = {}
    for run in inputs.runs:
        groups: dict[tuple[str, str], list[tuple[Record, TrainingResult]]] = {}
        for record, result in run.results.trained:
            groups.setdefault((record.task, record.method), []).append((record, result))
        for at, pairs in groups.items():
            line = _training(pairs[0][0], [result for _, result in pairs])
            lines.setdefault(at, []).append({"run": run.name, **line})
    return typed(_shared(lines.values(), inputs, lambda line: line["seconds"]))


def _training(record: Record, results: Sequence[TrainingResult]) -> Line:
    peaks = [one.cost.peak_bytes for one in results if one.cost.peak_bytes is not None]
    return {
        "task": record.task,
        "title": record.title,
        "method": record.method,
        "n": len(results),
        "seconds": float(statistics.median(one.seconds for one in results)),
        "relative": None,
        "examples_per_second": float(statistics.median(r.examples_per_second for r in results)),
        "peak_bytes": float(statistics.median(peaks)) if peaks else None,
    }


def _searched(inputs: CompareInputs) -> DataFrame:
    lines: dict[Any, list[Line]] = {}
    for run in inputs.runs:
        places = {(at[0], at[1], name): at for at, (name, _) in run.columns.items()}
        for cost in costs.lines(run.results):
            at = places[cost["task"], cost["method"], cost["index"]]
            lines.setdefault(at, []).append({"run": run.name, "cost": cost, "relative": None})
    return typed(_shared(lines.values(), inputs, lambda line: line["cost"]["search_us_p50"]))


def _shared(
    groups: Iterable[Sequence[Line]], inputs: CompareInputs, value: Callable[[Line], float]
) -> Iterator[Line]:
    """The lines that the first run and another have, with what they are of the first."""
    for lines in groups:
        if lines[0]["run"] == inputs.first.name and len(lines) > 1:
            reference = value(lines[0])
            for line in lines:
                yield line | {"relative": value(line) / reference if reference else None}


def _relative(inputs: CompareInputs) -> Column:
    return Column(f"/ {inputs.first.name}", "relative", "{:.2f} x".format)


def _trained_views(frame: DataFrame, inputs: CompareInputs) -> Iterator[View]:
    if len(frame):
        yield View(
            "Cost of training",
            (
                TASK,
                METHOD,
                RUN,
                Column("n", "n"),
                Column("seconds", "seconds", number),
                _relative(inputs),
                Column("examples/s", "examples_per_second", number),
                Column("peak memory", "peak_bytes", size),
            ),
            (
                "Medians over n seeds: training loop of the student, whole process for the memory. "
                "Runs of different machines, or of a busy one, compare those and not the methods.",
            ),
        )


def _searched_views(frame: DataFrame, inputs: CompareInputs) -> Iterator[View]:
    if len(frame):
        yield View(
            "Cost of retrieval",
            (
                Column("task", "cost.title", label=True),
                Column("method", "cost.method", label=True),
                Column("index", "cost.index", label=True),
                RUN,
                Column("entries", "cost.entries", "{:,.0f}".format),
                Column("KB size", "cost.kb_bytes", size),
                Column("index size", "cost.index_bytes", size),
                Column("build s", "cost.build_seconds", number),
                Column("search µs p50", "cost.search_us_p50", number),
                _relative(inputs),
                Column("search µs p95", "cost.search_us_p95", number),
            ),
            ("Medians over seeds. Search: one query, one thread, index call only, in a hot loop.",),
        )


EFFORT = Section("effort", "Cost of training", _trained, _trained_views)
COSTS = Section("costs", "Cost of retrieval", _searched, _searched_views)
