"""How teachers and students were trained."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.records.run import Record, TeacherFacts, TrainingResult
from bench.report.results import Results
from bench.report.scores import TEACHER
from bench.report.summary import Summary, each, number, summarise
from bench.report.table import EMPTY, Table


@dataclass(frozen=True)
class Training:
    """One method (or the teacher) on one task; lists and summaries over n seeds (or teachers)."""

    task: str
    title: str
    method: str
    init: str
    parameters: list[int]
    best_epoch: list[int]
    seconds: Summary
    examples_per_second: Summary
    n: int


def trainings(results: Results) -> list[Training]:
    """Per task its teachers, then every method."""
    found: dict[str, dict[str, list[tuple[Record, TrainingResult]]]] = {}
    for record, training in results.trained:
        found.setdefault(record.task, {}).setdefault(record.method, []).append((record, training))
    rows = []
    for methods in found.values():
        pairs = [pair for method in methods.values() for pair in method]
        teachers = {t.teacher.key: t.teacher for _, t in pairs if t.teacher}
        if teachers:
            rows.append(_teacher(pairs[0][0], teachers.values()))
        rows += [_student(sorted(pairs, key=lambda p: p[0].seed)) for pairs in methods.values()]
    return rows


def _teacher(record: Record, teachers: Iterable[TeacherFacts]) -> Training:
    found = sorted(teachers, key=lambda teacher: teacher.key)
    return Training(
        task=record.task,
        title=record.title,
        method=TEACHER,
        init=each([teacher.init for teacher in found]),
        parameters=[teacher.parameters for teacher in found],
        best_epoch=[teacher.best_epoch for teacher in found],
        seconds=summarise(teacher.seconds for teacher in found),
        examples_per_second=summarise([]),
        n=len(found),
    )


def _student(pairs: list[tuple[Record, TrainingResult]]) -> Training:
    record, found = pairs[0][0], [training for _, training in pairs]
    return Training(
        task=record.task,
        title=record.title,
        method=record.method,
        init=each([training.student_init for training in found]),
        parameters=[training.parameters for training in found],
        best_epoch=[training.best_epoch for training in found],
        seconds=summarise(training.seconds for training in found),
        examples_per_second=summarise(training.examples_per_second for training in found),
        n=len(found),
    )


def training_table(found: list[Training]) -> Table:
    """Training, one row per task and method."""
    rows = tuple(
        (
            row.title,
            row.method,
            row.init,
            each([f"{count / 1e6:.3g} M" for count in row.parameters]),
            each(row.best_epoch),
            _figure(row.seconds),
            _figure(row.examples_per_second),
            str(row.n),
        )
        for row in found
    )
    labels = ("task", "method", "initialised from")
    figures = ("parameters", "best epoch", "training s", "examples/s", "n")
    notes = (
        "training s: the training loop without evaluation. mean ± sd over n seeds (teachers for "
        "the teacher).",
    )
    return Table("Training", (*labels, *figures), rows, len(labels), notes)


def _figure(summary: Summary) -> str:
    if summary.mean is None:
        return EMPTY
    return number(summary.mean) + (f" ± {number(summary.sd)}" if summary.sd is not None else "")
