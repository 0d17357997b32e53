"""What a method may use while it prepares: data, signals, models, and a place for its stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from reaugkd import signals
from reaugkd.artifacts.store import SCRATCH, Artifact, ArtifactStore, Build
from reaugkd.distiller import Shape
from reaugkd.models.encoder import Encoder
from reaugkd.models.spec import ModelSpec
from reaugkd.reporter import Reporter, Silent
from reaugkd.signals import TeacherSignals
from reaugkd.tasks.task import Task
from reaugkd.training import teacher
from reaugkd.training.checkpoint import Checkpoint
from reaugkd.training.learner import Learner
from reaugkd.training.loop import Loss, Procedure, TrainingResult
from reaugkd.training.recipe import Recipe

COST = "cost"


@dataclass(frozen=True)
class Models:
    """Where a method gets models from; every call makes a new one, which the caller may change.

    Attributes:
        student: seed -> a fresh student.
        teacher: the fine-tuned teacher.
        untrained: the teacher as it was before fine-tuning.
        build: any other model from its spec and a seed, with the task's head.
        student_shape, teacher_shape: known without building anything.
        student_identity: plain JSON that decides what ``student`` makes; a stage that builds one
            names it.
    """

    student: Callable[[int], Encoder]
    teacher: Callable[[], Encoder]
    untrained: Callable[[], Encoder]
    build: Callable[[ModelSpec, int], Encoder]
    student_shape: Shape
    teacher_shape: Shape
    student_identity: Mapping[str, Any]


@dataclass(frozen=True)
class Context:
    """Everything a method may look at.

    Attributes:
        task: the task.
        splits: encoded rows by split, ``fit`` and ``held_out`` among them.
        pad_id: id of the padding token.
        signals: the teacher's cached signals of ``fit``, or None for methods that need none.
        models: where to get models from.
        recipe: the student's.
        teacher_recipe, teacher_seed: what the teacher is fine-tuned with.
        artifacts: where the method's own stages are cached.
        identity: plain JSON that identifies data and teacher; part of every stage's key.
        seed: of everything random in the stages.
        device: ``"cpu"``, or whatever accelerate finds.
        reporter: where progress goes.
        stages: what :meth:`stage` has run or found so far: name and cost, for the records.
    """

    task: Task
    splits: Mapping[str, Any]
    pad_id: int
    signals: TeacherSignals | None
    models: Models
    artifacts: ArtifactStore
    identity: Mapping[str, Any]
    recipe: Recipe = field(default_factory=Recipe)
    teacher_recipe: Recipe = field(default_factory=Recipe)
    teacher_seed: int = 0
    seed: int = 0
    device: Literal["auto", "cpu"] = "auto"
    reporter: Reporter = field(default_factory=Silent)
    stages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def labels(self) -> NDArray[Any]:
        """[N_fit] labels of ``fit``."""
        return np.asarray(self.splits["fit"]["label"])

    @property
    def student_width(self) -> int:
        """H_s, width of the student's embedding."""
        return self.models.student_shape.width

    @property
    def teacher(self) -> TeacherSignals:
        """The teacher's signals.

        Raises:
            ValueError: if this run has no teacher.
        """
        if self.signals is None:
            raise ValueError("this method needs the teacher's signals, but there is no teacher")
        return self.signals

    def learner(self, model: Any, recipe: Recipe, *, states: bool = False) -> Learner:
        """A companion: ``model`` with an optimiser of its own (on the run's device)."""
        return Learner(model, recipe, states=states)

    def stage(self, kind: str, identity: Mapping[str, Any], build: Build) -> Artifact:
        """A stage's result, made by ``build(folder)`` unless it is there already.

        The key consists of ``self.identity`` and ``identity``; name everything else that decides
        the result: settings, recipes, seeds, the key of an earlier stage. What ``build`` returns
        under ``"cost"`` (see :func:`cost`) goes to the record, also where the stage was found.
        """
        artifact = self.artifacts.get(kind, {**self.identity, **identity}, build)
        self.stages.append({"stage": kind, **artifact.facts.get(COST, {})})
        return artifact

    def train(
        self,
        encoder: Encoder,
        procedure: Procedure | Loss,
        folder: Path,
        *,
        recipe: Recipe,
        seed: int,
        stage: str,
    ) -> TrainingResult:
        """Train ``encoder`` on ``fit`` inside a stage; a killed one goes on where it was.

        The epoch is chosen on ``held_out`` unless ``procedure.keep`` is ``"last"``.
        """
        return teacher.fine_tune(
            self.task,
            encoder,
            self.splits,
            self.pad_id,
            recipe,
            loss=procedure,
            seed=seed,
            checkpoint=Checkpoint(folder / SCRATCH / "training", reporter=self.reporter),
            device=self.device,
            stage=stage,
            reporter=self.reporter,
        )

    def write_signals(self, encoder: Encoder, folder: Path, recipe: Recipe, stage: str) -> int:
        """Logits and embeddings of ``fit`` below ``folder``, see ``TeacherSignals.open``.

        Returns:
            The number of rows, which is what it cost in forward passes.
        """
        fit = {"fit": self.splits["fit"]}
        signals.write(
            encoder, fit, self.pad_id, folder, recipe.precision, self.reporter, stage=stage
        )
        return len(fit["fit"])


def cost(
    result: TrainingResult | None = None, *, forwards: int = 0, backwards: int = 0
) -> dict[str, Any]:
    """The cost of a stage: seconds and peak memory of training, examples through its models.

    Args:
        result: of the stage's training; all its learners count as teachers.
        forwards, backwards: examples besides those.
    """
    work = result.work.values() if result else ()
    return {
        "seconds": result.seconds if result else 0.0,
        "forwards": forwards + sum(w["forwards"] for w in work),
        "backwards": backwards + sum(w["backwards"] for w in work),
        "peak_bytes": result.peak_bytes if result else None,
    }
