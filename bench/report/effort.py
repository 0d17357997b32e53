"""What each method costs to train: time, passes through the models, memory."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from bench.records.run import TrainingResult
from bench.report.results import Results
from bench.report.summary import number, size
from bench.report.table import EMPTY, Table


@dataclass(frozen=True)
class Effort:
    """One method on one task, medians over n seeds.

    Passes are examples divided by the rows of ``fit``, so 6 means six epochs.

    Attributes:
        stages_seconds, seconds: before the student, and of the student's own training.
        relative: (stages + training seconds) / the same of ``relative_to``, None without it.
        student_forwards, student_backwards: passes of the student.
        teacher_forwards, teacher_backwards: passes of everything that is not the student.
        cached_forwards: of the teacher's, those of the pass that all methods share.
        stages: names of what ran before the student.
    """

    task: str
    title: str
    method: str
    n: int
    stages_seconds: float
    seconds: float
    relative: float | None
    steps_per_second: float
    student_forwards: float
    student_backwards: float
    teacher_forwards: float
    teacher_backwards: float
    cached_forwards: float
    peak_bytes: float | None
    stages: tuple[str, ...]


REFERENCE = "finetune"


def efforts(results: Results) -> list[Effort]:
    """The effort of every (task, method), in the order of the plan."""
    found: dict[tuple[str, str, str], list[TrainingResult]] = {}
    for record, training in results.trained:
        found.setdefault((record.task, record.title, record.method), []).append(training)
    whole = {
        (task, method): _median(trainings, lambda t: _stages(t) + t.seconds)
        for (task, _, method), trainings in found.items()
    }
    return [
        _effort(*names, trainings, whole[names[0], names[2]], whole.get((names[0], REFERENCE)))
        for names, trainings in found.items()
    ]


def _effort(
    task: str,
    title: str,
    method: str,
    trainings: list[TrainingResult],
    seconds: float,
    reference: float | None,
) -> Effort:
    def passes(name: str) -> float:
        return _median(trainings, lambda t: getattr(t.cost, name) / t.rows["fit"])

    peaks = [t.cost.peak_bytes for t in trainings if t.cost.peak_bytes is not None]
    return Effort(
        task=task,
        title=title,
        method=method,
        n=len(trainings),
        stages_seconds=_median(trainings, _stages),
        seconds=_median(trainings, lambda t: t.seconds),
        relative=seconds / reference if reference else None,
        steps_per_second=_median(trainings, lambda t: t.cost.steps_per_second),
        student_forwards=passes("student_forwards"),
        student_backwards=passes("student_backwards"),
        teacher_forwards=passes("teacher_forwards"),
        teacher_backwards=passes("teacher_backwards"),
        cached_forwards=passes("cached_forwards"),
        peak_bytes=statistics.median(peaks) if peaks else None,
        stages=tuple(dict.fromkeys(s.stage for t in trainings for s in t.cost.stages)),
    )


def _stages(training: TrainingResult) -> float:
    return sum(stage.seconds for stage in training.cost.stages)


def _median(trainings: list[TrainingResult], value: Callable[[TrainingResult], float]) -> float:
    return float(statistics.median(value(training) for training in trainings))


def effort_table(found: list[Effort]) -> Table:
    """The cost of training, one row per task and method."""
    rows = tuple(
        (
            row.title,
            row.method,
            ", ".join(row.stages) or EMPTY,
            number(row.stages_seconds),
            number(row.seconds),
            f"{number(row.relative)}x" if row.relative is not None else EMPTY,
            number(row.steps_per_second),
            f"{number(row.student_forwards)} / {number(row.student_backwards)}",
            f"{number(row.teacher_forwards)} / {number(row.teacher_backwards)}",
            number(row.cached_forwards),
            size(row.peak_bytes),
            str(row.n),
        )
        for row in found
    )
    labels = ("task", "method", "stages")
    figures = ("stages s", "training s", f"of {REFERENCE}", "steps/s", "student fwd / bwd")
    more = ("teacher fwd / bwd", "of these cached", "peak memory", "n")
    notes = (
        "Medians over n seeds. fwd / bwd: passes over fit, forward and backward; teacher: the "
        "teacher and every other model that is not the student, in the loop and in the stages "
        "before it, a branch of sftn counting as a whole model; cached: one pass that all methods "
        f"share. of {REFERENCE}: seconds of stages and training over those of {REFERENCE}. "
        "peak memory: of the whole process, with libraries and data.",
        "The fine-tuning of the teacher that the methods share is in none of these figures (see "
        "Training); dml, prokt and sftn do without it.",
    )
    return Table("Cost of training", (*labels, *figures, *more), rows, len(labels), notes)
