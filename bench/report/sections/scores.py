"""Scores of everyone: majority class, teacher, every method without and with retrieval.

``scores``: a row per method, retrieval, task, split and metric, over seeds (the teacher's: over
distinct teachers). ``retrieval`` is the index, ``off``, or empty for the majority class and the
teacher; ``split`` is ``held_out`` or a test split, which ``test`` tells; ``selects``: whether the
task chooses by this metric; ``header``: how its column is headed.

``rows``: every score as one row, the form for spreadsheets: data only, ``results.csv``. A row per
cell, split and metric, with ``retrieval`` ``off`` or ``on``: a training cell has only ``off``, a
retrieval cell repeats its student's scores as ``off``. Students in the order of the plan, then what
retrieval makes of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pandas import DataFrame

from bench.records.results import CHEAPER, HELD_OUT, Results, as_usual
from bench.records.run import Choice, Record, RetrievalResult, Scores, TrainingResult
from bench.report.charts import scores as charts
from bench.report.frame import rows, typed
from bench.report.inputs import RunInputs
from bench.report.scores import CONTROLS, MAJORITY, OFF, TEACHER
from bench.report.section import METHOD, RETRIEVAL, Section, View, across
from bench.report.sections.plain import grouped
from bench.report.summary import Spread, nats, points, summarise
from reaugkd.tasks.metrics import LOWER_IS_BETTER, UNBOUNDED


def _rows(inputs: RunInputs) -> DataFrame:
    """Rows in the order of the table, within a row in the order of the plan."""
    scored = grouped(
        ((method, retrieval, record.task, split, metric), (record, scores[split][metric]))
        for method, retrieval, record, scores in _scores(inputs.results)
        for split in (*record.tests, HELD_OUT)
        for metric in record.metrics
        if metric in scores.get(split, {})
    )
    return typed(
        {
            "method": method,
            "retrieval": retrieval,
            "task": task,
            "title": pairs[0][0].heading(split),
            "split": split,
            "test": split != HELD_OUT,
            "metric": metric,
            "selects": metric == pairs[0][0].select_on,
            "header": pairs[0][0].heading(split, metric),
            "value": summarise(value for _, value in pairs),
        }
        for (method, retrieval, task, split, metric), pairs in scored.items()
    )


def _scores(results: Results) -> Iterator[tuple[str, str, Record, Mapping[str, Scores]]]:
    """Method, retrieval, record and scores; a majority class and a teacher once each."""
    once: dict[str, tuple[str, str, Record, Mapping[str, Scores]]] = {}
    for record, result in results.trained:
        once.setdefault(f"{record.task} {result.majority}", (MAJORITY, "", record, result.majority))
    for record, result in results.trained:
        if result.teacher:
            once.setdefault(result.teacher.key, (TEACHER, "", record, result.teacher.scores))
    yield from once.values()
    for method in dict.fromkeys(cell.plan.method for cell in results.cells):
        for record, result in results.trained:
            if record.method == method:
                yield method, OFF, record, result.scores
        for (_, name, index), pairs in results.by_index.items():
            for record, retrieval in pairs if name == method else ():
                yield method, index, record, retrieval.chosen.scores


def _views(frame: DataFrame, _: RunInputs) -> Iterator[View]:
    """Test scores by the metric that each task chooses by; by every metric if there are more."""
    yield _pivot("Scores", frame, selecting=True)
    if len(frame) and not frame["selects"].all():
        yield _pivot("All metrics", frame, selecting=False)


def _pivot(title: str, frame: DataFrame, *, selecting: bool) -> View:
    if len(frame):
        frame = frame[frame["test"] & (frame["selects"] | (not selecting))]
    metric_of = dict(zip(frame["header"], frame["metric"], strict=True)) if len(frame) else {}
    scored = (
        replace(column, show=_unscaled) if metric_of[column.title] in UNBOUNDED else column
        for column in across(frame, "header", "value", _cell)
    )
    return View(
        title,
        (METHOD, RETRIEVAL, *scored),
        notes=tuple(_notes(frame)),
        where=lambda row: row.test and (row.selects or not selecting),
        by=("method", "retrieval"),
    )


def _cell(value: Spread) -> str:
    return f"{points(value)} ({value.n})"


def _unscaled(value: Spread) -> str:
    return f"{nats(value)} ({value.n})"


def _notes(frame: DataFrame) -> Iterator[str]:
    seeds = {row.value.n for row in rows(frame) if row.method not in CONTROLS}
    if not seeds:
        yield "No student has finished."
        return
    yield "Test split, in percent: mean ± sd (n), n seeds; the teacher's n counts teachers."
    if lower := LOWER_IS_BETTER & {*frame["metric"]}:
        yield f"Of {', '.join(sorted(lower))} lower is better."
    if unbounded := UNBOUNDED & {*frame["metric"]}:
        yield f"Not in percent: {', '.join(sorted(unbounded))}."
    if min(seeds) == 1:
        yield "One seed has no standard deviation: a difference between two rows may be chance."
    if len(seeds) > 1:
        yield "n differs between rows: see the status of cells."


NAMES = (
    "key", "kind", "suite", "task", "method", "seed", "student", "teacher", "backend", "keys",
    "values", "share", "control", "retrieval", "k", "beta", "tau", "split", "metric", "selects",
    "value",
)  # fmt: skip
AXES = ("backend", "keys", "values", "share", "control")
"""What a knowledge base lies behind and is; what makes it cheaper, where a run has such bases."""


def _names(inputs: RunInputs) -> list[str]:
    """The columns; what makes bases cheaper stands behind ``control``."""
    bases = [result for _, result in inputs.results.retrieved]
    cheaper = any(not as_usual(base, axis) for base in bases for axis in CHEAPER)
    place = NAMES.index("retrieval")
    return [*NAMES[:place], *(CHEAPER if cheaper else ()), *NAMES[place:]]


def _every(inputs: RunInputs) -> Iterator[dict[str, Any]]:
    students = {record.key: training for record, training in inputs.results.trained}
    for record, training in inputs.results.trained:
        yield from _of_cell(record, training, training.scores)
    for record, result in inputs.results.retrieved:
        student = students.get(result.training_key)
        yield from _of_cell(record, student, result.off, result)
        yield from _of_cell(record, student, result.chosen.scores, result, result.chosen)


def _of_cell(
    record: Record,
    student: TrainingResult | None,
    scores: Mapping[str, Scores],
    base: RetrievalResult | None = None,
    choice: Choice | None = None,
) -> Iterator[dict[str, Any]]:
    cell = {
        **{name: getattr(record, name) for name in ("key", "kind", "suite", "task", "method")},
        "seed": record.seed,
        "student": student.student_init if student else None,
        "teacher": student.teacher.init if student and student.teacher else None,
        **{name: getattr(base, name, None) for name in (*AXES, *CHEAPER)},
        "retrieval": "on" if choice else "off",
        **{name: getattr(choice, name, None) for name in ("k", "beta", "tau")},
    }
    for split, by_metric in scores.items():
        for metric, value in by_metric.items():
            selects = metric == record.select_on
            yield {**cell, "split": split, "metric": metric, "selects": selects, "value": value}


SECTION = Section(
    "scores", "Scores", _rows, _views, pictures=lambda _, inputs: charts.seeds(inputs.results)
)
ROWS: Section[RunInputs] = Section(
    "rows",
    "Scores by cell",
    lambda inputs: typed(_every(inputs)).reindex(columns=_names(inputs)),
    tidy=("results.csv", lambda frame: frame),
)
