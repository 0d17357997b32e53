"""Training: of teachers and students, what each method costs, and the curves.

``training``: a row per task's teachers and per method; lists and spreads are over n seeds, of
``teacher`` over distinct teachers.

``effort``: a row per task and method, medians over n seeds. A pass is as many examples as ``fit``
has rows, so 6 means six epochs. ``stages_seconds`` of the ``stages`` before the student,
``seconds`` of its own training; ``relative``: both together over those of finetune; ``student_*``
and ``teacher_*``: passes of the student and of everything else, of which ``cached_forwards`` in one
pass that all methods share.

``curves``: a row per task, method, term and epoch of students that left a history. ``term``: the
selection metric (on held-out, a share), or ``loss/...``, as it is before its weight; ``value``:
over the seeds that went on so long; ``last``: how many epochs each of the method's students went.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pandas import DataFrame

from bench.records.run import Record, TeacherFacts, TrainingResult
from bench.report.charts import settings
from bench.report.frame import Row, typed
from bench.report.inputs import RunInputs
from bench.report.scores import TEACHER
from bench.report.section import METHOD, TASK, Column, Section
from bench.report.sections.plain import grouped, median, one_table
from bench.report.summary import Spread, each, number, size, summarise

LOSS = "loss/"
REFERENCE = "finetune"
PASSES = (
    *("student_forwards", "student_backwards", "teacher_forwards", "teacher_backwards"),
    "cached_forwards",
)

Trained = dict[tuple[str, str], list[tuple[Record, TrainingResult]]]


def _trained(inputs: RunInputs) -> Trained:
    """(task, method) -> finished students, in the order of the plan."""
    return grouped(((r.task, r.method), (r, student)) for r, student in inputs.results.trained)


def _rows(inputs: RunInputs) -> DataFrame:
    groups = _trained(inputs)
    lines: list[dict[str, Any]] = []
    for task in dict.fromkeys(task for task, _ in groups):
        methods = {method: group for (name, method), group in groups.items() if name == task}
        record = next(iter(methods.values()))[0][0]
        students = [student for group in methods.values() for _, student in group]
        if teachers := {
            student.teacher.key: student.teacher for student in students if student.teacher
        }:
            lines.append(_row(record, TEACHER, [teachers[key] for key in sorted(teachers)]))
        for method, group in methods.items():
            by_seed = sorted(group, key=lambda pair: pair[0].seed)
            lines.append(_row(record, method, [student for _, student in by_seed]))
    return typed(lines)


def _row(
    record: Record, method: str, models: Sequence[TeacherFacts | TrainingResult]
) -> dict[str, Any]:
    return {
        "task": record.task,
        "title": record.title,
        "method": method,
        "init": each([m.init if isinstance(m, TeacherFacts) else m.student_init for m in models]),
        "parameters": [model.parameters for model in models],
        "best_epoch": [model.best_epoch for model in models],
        "seconds": summarise(model.seconds for model in models),
        "examples_per_second": summarise(
            model.examples_per_second for model in models if isinstance(model, TrainingResult)
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
    Column(
        "parameters", "parameters", lambda counts: each([n and f"{n / 1e6:.3g} M" for n in counts])
    ),
    Column("best epoch", "best_epoch", each),
    Column("training s", "seconds", _spread),
    Column("examples/s", "examples_per_second", _spread),
    Column("n", "n"),
)
NOTE = (
    "training s: the training loop without evaluation. mean ± sd over n seeds (teachers for the "
    "teacher)."
)


def _efforts(inputs: RunInputs) -> Iterator[dict[str, Any]]:
    groups = _trained(inputs)
    whole = {
        at: median(_stages(result) + result.seconds for _, result in groups[at]) for at in groups
    }
    for (task, method), group in groups.items():
        students = [result for _, result in group]
        reference = whole.get((task, REFERENCE))
        passes = {
            name: median(getattr(result.cost, name) / result.rows["fit"] for result in students)
            for name in PASSES
        }
        yield {
            "task": task,
            "title": group[0][0].title,
            "method": method,
            "n": len(group),
            "stages_seconds": median(map(_stages, students)),
            "seconds": median(result.seconds for result in students),
            "relative": (whole[task, method] or 0) / reference if reference else None,
            "steps_per_second": median(result.cost.steps_per_second for result in students),
            "examples_per_second": median(result.examples_per_second for result in students),
            **passes,
            "peak_bytes": median(result.cost.peak_bytes for result in students),
            "stages": list(
                dict.fromkeys(s.stage for result in students for s in result.cost.stages)
            ),
        }


def _stages(training: TrainingResult) -> float:
    return sum(stage.seconds for stage in training.cost.stages)


def _both(who: str) -> Callable[[Row], str]:
    """Passes of the student or the teacher, forward and backward."""
    return lambda row: " / ".join(
        number(getattr(row, f"{who}_{way}")) for way in ("forwards", "backwards")
    )


EFFORT_COLUMNS = (
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
EFFORT_NOTES = (
    "Medians over n seeds. fwd / bwd: passes over fit, forward and backward; teacher: the "
    "teacher and every other model that is not the student, in the loop and in the stages "
    "before it, a branch of sftn counting as a whole model; cached: one pass that all methods "
    f"share. of {REFERENCE}: seconds of stages and training over those of {REFERENCE}. "
    "peak memory: of the whole process, with libraries and data.",
    "The fine-tuning of the teacher that the methods share is in none of these figures (see "
    "Training); dml, prokt and sftn do without it.",
)


def _curves(inputs: RunInputs) -> DataFrame:
    """Tasks and methods in the order of the plan, the metric before the terms of the loss."""
    students = [(r, student.history) for r, student in inputs.results.trained if student.history]
    values = grouped(
        ((r.task, r.method, term, epoch["epoch"]), value)
        for r, history in students
        for epoch in history
        for term, value in epoch.items()
        if term == r.select_on or term.startswith(LOSS)
    )
    epochs = grouped(((r.task, r.method), len(history)) for r, history in students)
    tasks, methods = list(dict.fromkeys(task for task, _ in epochs)), list(epochs)
    terms = list(dict.fromkeys(term for _, _, term, _ in values))

    def place(at: tuple[str, str, str, float]) -> tuple[float, ...]:
        task, method, term, epoch = at
        loss = term.startswith(LOSS)
        return tasks.index(task), loss, terms.index(term), methods.index((task, method)), epoch

    return typed(
        {
            "task": at[0],
            "title": inputs.titles[at[0]],
            "method": at[1],
            "term": at[2],
            "selects": not at[2].startswith(LOSS),
            "epoch": at[3],
            "value": summarise(values[at]),
            "last": epochs[at[:2]],
        }
        for at in sorted(values, key=place)
    )


SECTION = Section("training", "Training", _rows, one_table("Training", COLUMNS, (NOTE,)))
EFFORT = Section(
    "effort",
    "Cost of training",
    lambda inputs: typed(_efforts(inputs)),
    one_table("Cost of training", EFFORT_COLUMNS, EFFORT_NOTES),
)
CURVES = Section(
    "curves", "Training curves", _curves, pictures=lambda frame, _: settings.curves(frame)
)
