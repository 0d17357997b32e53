"""What each method costs to train: time, passes through the models, memory.

A row per task and method, medians over n seeds. A pass is as many examples as ``fit`` has rows, so
6 means six epochs. ``stages_seconds`` of the ``stages`` before the student, ``seconds`` of its own
training; ``relative``: both together over those of finetune; ``student_*`` and ``teacher_*``:
passes of the student and of everything else, of which ``cached_forwards`` in one pass that all
methods share.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from bench.records.run import TrainingResult
from bench.report.frame import Row, typed
from bench.report.inputs import RunInputs
from bench.report.section import METHOD, TASK, Column, Section, View
from bench.report.summary import number, size

if TYPE_CHECKING:
    from pandas import DataFrame

REFERENCE = "finetune"
PASSES = (
    "student_forwards",
    "student_backwards",
    "teacher_forwards",
    "teacher_backwards",
    "cached_forwards",
)


def _rows(inputs: RunInputs) -> DataFrame:
    """Every task and method in the order of the plan."""
    groups: dict[tuple[str, str, str], list[TrainingResult]] = {}
    for record, training in inputs.results.trained:
        groups.setdefault((record.task, record.title, record.method), []).append(training)
    whole = {
        (task, method): _median(trainings, lambda one: _stages(one) + one.seconds)
        for (task, _, method), trainings in groups.items()
    }
    return typed(
        {
            "task": task,
            "title": title,
            "method": method,
            "n": len(trainings),
            "stages_seconds": _median(trainings, _stages),
            "seconds": _median(trainings, lambda one: one.seconds),
            "relative": _ratio(whole[task, method], whole.get((task, REFERENCE))),
            "steps_per_second": _median(trainings, lambda one: one.cost.steps_per_second),
            **{name: _passes(trainings, name) for name in PASSES},
            "peak_bytes": _peak(trainings),
            "stages": list(dict.fromkeys(s.stage for one in trainings for s in one.cost.stages)),
        }
        for (task, title, method), trainings in groups.items()
    )


def _median(trainings: Sequence[TrainingResult], value: Callable[[TrainingResult], float]) -> float:
    return float(statistics.median(map(value, trainings)))


def _stages(training: TrainingResult) -> float:
    return sum(stage.seconds for stage in training.cost.stages)


def _passes(trainings: Sequence[TrainingResult], name: str) -> float:
    return _median(trainings, lambda one: getattr(one.cost, name) / one.rows["fit"])


def _peak(trainings: Sequence[TrainingResult]) -> float | None:
    peaks = [one.cost.peak_bytes for one in trainings if one.cost.peak_bytes is not None]
    return statistics.median(peaks) if peaks else None


def _ratio(seconds: float, reference: float | None) -> float | None:
    return seconds / reference if reference else None


def _both(who: str) -> Callable[[Row], str]:
    """Passes of the student or the teacher, forward and backward."""

    def text(row: Row) -> str:
        there, back = getattr(row, f"{who}_forwards"), getattr(row, f"{who}_backwards")
        return f"{number(there)} / {number(back)}"

    return text


COLUMNS = (
    TASK,
    METHOD,
    Column("stages", "stages", ", ".join, label=True),
    Column("stages s", "stages_seconds", number),
    Column("training s", "seconds", number),
    Column(f"of {REFERENCE}", "relative", lambda ratio: f"{number(ratio)}x"),
    Column("steps/s", "steps_per_second", number),
    Column("student fwd / bwd", _both("student")),
    Column("teacher fwd / bwd", _both("teacher")),
    Column("of these cached", "cached_forwards", number),
    Column("peak memory", "peak_bytes", size),
    Column("n", "n"),
)
NOTES = (
    "Medians over n seeds. fwd / bwd: passes over fit, forward and backward; teacher: the "
    "teacher and every other model that is not the student, in the loop and in the stages "
    "before it, a branch of sftn counting as a whole model; cached: one pass that all methods "
    f"share. of {REFERENCE}: seconds of stages and training over those of {REFERENCE}. "
    "peak memory: of the whole process, with libraries and data.",
    "The fine-tuning of the teacher that the methods share is in none of these figures (see "
    "Training); dml, prokt and sftn do without it.",
)


def _views(frame: DataFrame, _: RunInputs) -> Iterator[View]:
    if len(frame):
        yield View("Cost of training", COLUMNS, NOTES)


SECTION = Section("effort", "Cost of training", _rows, _views)
