"""Every score as one row, the form for spreadsheets: data only, ``results.csv``.

A row per cell, split and metric, with ``retrieval`` ``off`` or ``on``: a training cell has only
``off``, a retrieval cell repeats its student's scores as ``off``. Students in the order of the
plan, then what retrieval makes of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from bench.records.run import Choice, Record, RetrievalResult, Scores, TrainingResult
from bench.report.frame import typed
from bench.report.inputs import RunInputs
from bench.report.section import Section

if TYPE_CHECKING:
    from pandas import DataFrame

NAMES = (
    "key", "kind", "suite", "task", "method", "seed", "student", "teacher", "backend", "keys",
    "values", "share", "control", "retrieval", "k", "beta", "tau", "split", "metric", "selects",
    "value",
)  # fmt: skip


def _rows(inputs: RunInputs) -> DataFrame:
    return typed(_scores(inputs)).reindex(columns=list(NAMES))


def _scores(inputs: RunInputs) -> Iterator[dict[str, Any]]:
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
        **{name: getattr(base, name, None) for name in ("backend", "keys", "values", "share")},
        "control": base.control if base else None,
        "retrieval": "on" if choice else "off",
        **{name: getattr(choice, name, None) for name in ("k", "beta", "tau")},
    }
    for split, by_metric in scores.items():
        for metric, value in by_metric.items():
            selects = metric == record.select_on
            yield {**cell, "split": split, "metric": metric, "selects": selects, "value": value}


SECTION = Section("rows", "Scores by cell", _rows, tidy=("results.csv", lambda frame: frame))
