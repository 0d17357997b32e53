"""Precisions that a run leaves open (``auto``), decided once per run, task and model.

Before anything is keyed: a cell has a precision, and its key is that of a run that named it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from bench.config import RunConfig
from bench.pipeline import starts
from bench.pipeline.proving import require_room
from bench.pipeline.reading import Reading
from bench.pipeline.student import TaskPipeline
from bench.pipeline.workbench import Workbench
from reaugkd.errors import UserError
from reaugkd.models.recipe import Precision
from reaugkd.models.spec import TEACHER, ModelSpec
from reaugkd.training import precision as steps
from reaugkd.training.precision import (
    BatchShape,
    StepAnswer,
    StepQuestion,
    StepTimes,
    TrainingMachine,
)

Role = Literal["teacher", "student"]
ROLES: tuple[Role, ...] = ("teacher", "student")
PROVISIONAL: Precision = "fp32"
"""What stands where nothing is timed: not needed, or not allowed and not known."""

Kept = Mapping[str, Mapping[str, Any]]
"""Task -> role -> the answer that a run keeps, as plain JSON."""


class Decisions(NamedTuple):
    """What was decided, in three forms.

    Attributes:
        tasks: task -> its configuration, in which no precision is open.
        lines: a sentence per decision.
        kept: for the run's folder, so that it goes on as it began.
    """

    tasks: dict[str, RunConfig]
    lines: list[str]
    kept: dict[str, dict[str, Any]]


def decide(
    tasks: Mapping[str, RunConfig],
    workbench: Workbench,
    earlier: Kept,
    *,
    may_time: bool,
    most_threads: int | None = None,
) -> Decisions:
    """Decide every precision of ``tasks`` that is ``auto``; all others stay as they are.

    An answer of the run itself goes before one of the cache, and that before timing.

    Args:
        tasks: task -> the configuration resolved for it.
        workbench: whose pipelines read the rows.
        earlier: what the run's folder keeps of earlier calls.
        may_time: whether to time what is not known; otherwise it is planned as fp32, and said.
        most_threads: of torch in a process that will train.

    Raises:
        UserError: for a model that cannot be built, or an answer of the run that is damaged.
    """
    decided, lines = dict(tasks), []
    kept = {task: dict(answers) for task, answers in earlier.items()}
    for task, config in tasks.items():
        left_open = [role for role in ROLES if getattr(config, role).recipe.precision == "auto"]
        if not left_open:
            continue
        shown = _with(config, dict.fromkeys(left_open, PROVISIONAL))
        pipeline = workbench.pipeline(starts.explicit(shown))
        chosen: dict[Role, Precision] = {}
        for role in left_open:
            own = _read(earlier.get(task, {}).get(role), f"precision.{task}.{role}")
            chosen[role], answer, why = _decision(pipeline, role, own, may_time, most_threads)
            lines.append(f"{task} {role}: precision {why}")
            if answer is not None:
                kept.setdefault(task, {})[role] = answer.model_dump(mode="json")
        decided[task] = _with(config, chosen)
    return Decisions(decided, lines, kept)


def _decision(
    pipeline: TaskPipeline,
    role: Role,
    own: StepAnswer | None,
    may_time: bool,
    most_threads: int | None,
) -> tuple[Precision, StepAnswer | None, str]:
    """The precision of a model, the answer that it rests on, if any, and both in words."""
    if reason := _untimed(pipeline, role):
        return PROVISIONAL, None, f"{PROVISIONAL}: {reason}"
    question = _question(pipeline, role, most_threads)
    answer, how = own, "kept with the run"
    if answer is None or not answer.question.alike(question):
        answer, how = steps.kept(question, pipeline.artifacts), "timed before"
    if answer is None and may_time:
        title = f"{pipeline.task.title} {role}"
        pipeline.reporter.note(f"timing training steps of the {title} in fp32 and bf16")
        timed = partial(_time, pipeline, role, question)
        answer, how = steps.obtain(question, pipeline.artifacts, timed), "timed now"
    if answer is None:
        why = f"auto has not been timed here yet: planned as {PROVISIONAL}, the run times it first"
        return PROVISIONAL, None, why
    if answer.question.machine != question.machine:
        then, here = map(_named, (answer.question.machine, question.machine))
        how += f", which began on {then}; this is {here}; another --out decides anew"
    precision, ratio = answer.times.precision, answer.times.ratio
    why = f"{precision}: bf16 trains at {ratio:.2f}x the speed of fp32 ({how})"
    return precision, answer, why


def _with(config: RunConfig, chosen: Mapping[Role, Precision]) -> RunConfig:
    """``config`` with the recipes of some roles in other precisions."""
    parts: dict[str, Any] = {}
    for role, precision in chosen.items():
        part = getattr(config, role)
        recipe = part.recipe.model_copy(update={"precision": precision})
        parts[role] = part.model_copy(update={"recipe": recipe})
    return config.model_copy(update=parts)


def _question(pipeline: TaskPipeline, role: Role, most_threads: int | None) -> StepQuestion:
    """What is asked of a model of the run: no weights are loaded for it."""
    config, (spec, reading) = pipeline.config, _model(pipeline, role)
    rows, longest = getattr(config, role).recipe.batch_size, config.data.max_length
    model = spec.architecture(config.teacher.model)
    return StepQuestion(
        machine=steps.this_machine(pipeline.teacher.device, most_threads),
        model={**model, "vocabulary": reading.vocabulary, "pooling": config.pooling},
        batch=BatchShape.typical(rows, reading.some_lengths, longest),
    )


def _model(pipeline: TaskPipeline, role: Role) -> tuple[ModelSpec, Reading]:
    reading = pipeline.rows.teacher if role == "teacher" else pipeline.rows.student
    return getattr(pipeline.config, role).model, reading


def _untimed(pipeline: TaskPipeline, role: Role) -> str | None:
    """Why nothing has to be timed, if nothing has to."""
    if role == "student":
        return None
    config = pipeline.config
    taught = config.student.model.source == TEACHER or any(
        pipeline.needs(method) or pipeline.queries(method) for method in config.methods
    )
    if not taught:
        return "no method here needs it"
    return None if pipeline.teacher.trains else "it is not trained here"


def _time(pipeline: TaskPipeline, role: Role, question: StepQuestion) -> StepTimes:
    spec, reading = _model(pipeline, role)
    model = pipeline.untrained(spec, reading)
    require_room(role, model.longest, pipeline.config.data.max_length)
    return steps.time_steps(
        model.to(pipeline.teacher.device),
        question.batch,
        vocabulary=reading.vocabulary,
        most_threads=question.machine.threads,
    )


def _read(stored: Any, name: str) -> StepAnswer | None:
    try:
        return None if stored is None else StepAnswer.model_validate(stored)
    except ValidationError as error:
        raise UserError(
            f"run.json is damaged: {name}: {error.errors()[0]['msg']}; remove it to time anew, or "
            "name another --out"
        ) from error


def _named(machine: TrainingMachine) -> str:
    return f"{machine.processor}, {machine.threads} threads, torch {machine.torch}"
