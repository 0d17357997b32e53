"""How teachers and students were trained: per task its teachers, then every method.

Lists and spreads are over n seeds, of ``teacher`` over distinct teachers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bench.records.run import Record, TeacherFacts, TrainingResult
from bench.report.frame import typed
from bench.report.inputs import RunInputs
from bench.report.scores import TEACHER
from bench.report.section import METHOD, TASK, Column, Section, View
from bench.report.summary import Spread, each, number, summarise

if TYPE_CHECKING:
    from pandas import DataFrame

Pairs = list[tuple[Record, TrainingResult]]


def _rows(inputs: RunInputs) -> DataFrame:
    tasks: dict[str, dict[str, Pairs]] = {}
    for record, training in inputs.results.trained:
        methods = tasks.setdefault(record.task, {})
        methods.setdefault(record.method, []).append((record, training))
    lines: list[dict[str, Any]] = []
    for methods in tasks.values():
        pairs = [pair for group in methods.values() for pair in group]
        teachers = {one.teacher.key: one.teacher for _, one in pairs if one.teacher}
        if teachers:
            ordered = [teachers[key] for key in sorted(teachers)]
            lines.append(_row(pairs[0][0], TEACHER, [one.init for one in ordered], ordered))
        for method, group in methods.items():
            students = [one for _, one in sorted(group, key=lambda pair: pair[0].seed)]
            inits = [one.student_init for one in students]
            lines.append(_row(group[0][0], method, inits, students))
    return typed(lines)


def _row(
    record: Record, method: str, inits: list[str], models: Sequence[TeacherFacts | TrainingResult]
) -> dict[str, Any]:
    return {
        "task": record.task,
        "title": record.title,
        "method": method,
        "init": each(inits),
        "parameters": [one.parameters for one in models],
        "best_epoch": [one.best_epoch for one in models],
        "seconds": summarise(one.seconds for one in models),
        "examples_per_second": summarise(
            one.examples_per_second for one in models if isinstance(one, TrainingResult)
        ),
        "n": len(models),
    }


def _spread(value: Spread) -> str:
    if value.mean is None:
        return ""
    return number(value.mean) + (f" ± {number(value.sd)}" if value.sd is not None else "")


COLUMNS = (
    TASK,
    METHOD,
    Column("initialised from", "init", label=True),
    Column("parameters", "parameters", lambda counts: each([f"{n / 1e6:.3g} M" for n in counts])),
    Column("best epoch", "best_epoch", each),
    Column("training s", "seconds", _spread),
    Column("examples/s", "examples_per_second", _spread),
    Column("n", "n"),
)
NOTES = (
    "training s: the training loop without evaluation. mean ± sd over n seeds (teachers for "
    "the teacher).",
)


def _views(frame: DataFrame, _: RunInputs) -> Iterator[View]:
    if len(frame):
        yield View("Training", COLUMNS, NOTES)


SECTION = Section("training", "Training", _rows, _views)
