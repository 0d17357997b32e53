"""Which kind of teacher a run has: trained here, finished, or a black box."""

from __future__ import annotations

from bench.config import RunConfig, TeacherConfig
from bench.pipeline.black_box import BlackBoxTeacher
from bench.pipeline.data import TaskRows
from bench.pipeline.finished import FinishedTeacher
from bench.pipeline.teacher import Stamp, TaskTeacher
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.models import spec as model_spec
from reaugkd.reporter import Reporter


def teacher_of(
    config: RunConfig, rows: TaskRows, artifacts: ArtifactStore, reporter: Reporter, stamp: Stamp
) -> TaskTeacher:
    """The teacher of the one task that ``config`` is resolved for.

    A checkpoint that is trained for no epoch is taken as it is if it has a head of its own;
    otherwise its head stays as it was drawn.
    """
    teacher = config.teacher
    kind: type[TaskTeacher] = TaskTeacher
    if teacher.outputs is not None:
        kind = BlackBoxTeacher
    elif not teacher.finetune or _is_left_as_it_is(teacher):
        kind = FinishedTeacher
    return kind(config, rows, artifacts, reporter, stamp)


def _is_left_as_it_is(teacher: TeacherConfig) -> bool:
    return not teacher.recipe.epochs and model_spec.labels_of(teacher.model) is not None
