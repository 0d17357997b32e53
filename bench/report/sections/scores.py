"""Scores of everyone: majority class, teacher, every method without and with retrieval.

A row per method, retrieval, task, split and metric, over seeds (the teacher's: over distinct
teachers). ``retrieval`` is the index, ``off``, or empty for the majority class and the teacher;
``split`` is ``held_out`` or a test split, which ``test`` tells; ``selects``: whether the task
chooses by this metric; ``header``: how its column is headed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from bench.records.results import HELD_OUT
from bench.records.run import Record, Scores
from bench.report.charts import scores as charts
from bench.report.frame import Row, rows, typed
from bench.report.inputs import RunInputs
from bench.report.scores import CONTROLS, MAJORITY, OFF, TEACHER
from bench.report.section import METHOD, RETRIEVAL, Section, View, across
from bench.report.summary import Spread, points, summarise

if TYPE_CHECKING:
    from pandas import DataFrame


def _rows(inputs: RunInputs) -> DataFrame:
    """Rows in the order of the table, within a row in the order of the plan."""
    results = inputs.results
    values: dict[tuple[str, str, str, str, str], list[float]] = {}
    tasks: dict[str, Record] = {}

    def add(method: str, retrieval: str, record: Record, scores: Mapping[str, Scores]) -> None:
        tasks.setdefault(record.task, record)
        for split in (*record.tests, HELD_OUT):
            for metric in record.metrics:
                if metric in scores.get(split, {}):
                    at = (method, retrieval, record.task, split, metric)
                    values.setdefault(at, []).append(scores[split][metric])

    seen: set[str] = set()
    for record, training in results.trained:
        if (majority := f"{record.task} {training.majority}") not in seen:
            seen.add(majority)
            add(MAJORITY, "", record, training.majority)
    for record, training in results.trained:
        if training.teacher and training.teacher.key not in seen:
            seen.add(training.teacher.key)
            add(TEACHER, "", record, training.teacher.scores)
    for method in dict.fromkeys(cell.plan.method for cell in results.cells):
        for record, training in results.trained:
            if record.method == method:
                add(method, OFF, record, training.scores)
        for (_, name, index), pairs in results.by_index.items():
            for record, retrieval in pairs if name == method else ():
                add(method, index, record, retrieval.chosen.scores)
    return typed(
        {
            "method": method,
            "retrieval": retrieval,
            "task": task,
            "title": tasks[task].heading(split),
            "split": split,
            "test": split != HELD_OUT,
            "metric": metric,
            "selects": metric == tasks[task].select_on,
            "header": tasks[task].heading(split, metric),
            "value": summarise(scores),
        }
        for (method, retrieval, task, split, metric), scores in values.items()
    )


def _views(frame: DataFrame, _: RunInputs) -> Iterator[View]:
    """Test scores by the metric that each task chooses by; by every metric if there are more."""
    yield _pivot("Scores", frame, selecting=True)
    if len(frame) and not frame["selects"].all():
        yield _pivot("All metrics", frame, selecting=False)


def _pivot(title: str, frame: DataFrame, *, selecting: bool) -> View:
    shown = frame
    if len(frame):
        shown = frame[frame["test"] & (frame["selects"] | (not selecting))]
    return View(
        title,
        (METHOD, RETRIEVAL, *across(shown, "header", "value", _cell)),
        notes=tuple(_notes(shown)),
        where=lambda row: row.test and (row.selects or not selecting),
        by=("method", "retrieval"),
    )


def _cell(value: Spread) -> str:
    return f"{points(value)} ({value.n})"


def _notes(frame: DataFrame) -> Iterator[str]:
    seeds = {row.value.n for row in rows(frame) if _student(row)}
    if not seeds:
        yield "No student has finished."
        return
    yield "Test split, in percent: mean ± sd (n), n seeds; the teacher's n counts teachers."
    if min(seeds) == 1:
        yield "One seed has no standard deviation: a difference between two rows may be chance."
    if len(seeds) > 1:
        yield "n differs between rows: see the status of cells."


def _student(row: Row) -> bool:
    return row.method not in CONTROLS


SECTION = Section(
    "scores", "Scores", _rows, _views, pictures=lambda _, inputs: charts.seeds(inputs.results)
)
