"""What a method may look at while it prepares and trains, and a place for its stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from reaugkd.artifacts.store import Artifact, ArtifactStore, Build
from reaugkd.batch import STUDENT, TEACHER, Shape
from reaugkd.models.recipe import Recipe
from reaugkd.models.spec import CONFIG, PRETRAINED, ModelSpec
from reaugkd.reporter import Reporter, Silent
from reaugkd.signals import TeacherSignals
from reaugkd.tasks.encode import Encoded
from reaugkd.tasks.task import Task

if TYPE_CHECKING:
    from torch import nn

    from reaugkd.models.encoder import Encoder
    from reaugkd.models.learner import Learner

COST = "cost"


def reader_of(spec: ModelSpec) -> str:
    """Whose token ids a model reads that is neither teacher nor student: a key of ``encoded``.

    What is made of the teacher, or of random weights, reads the teacher's; a checkpoint its own.

    >>> reader_of(ModelSpec.parse("pretrained@0,2")), reader_of(ModelSpec(source="org/bert"))
    ('teacher', 'model org/bert')
    """
    made = spec.source in (TEACHER, PRETRAINED, CONFIG)
    return TEACHER if made else f"model {spec.describe()}"


@dataclass(frozen=True)
class Models:
    """Where a method gets models from; every call makes a new one, which the caller may change.

    Attributes:
        student: seed -> a fresh student.
        untrained: the teacher as it was before fine-tuning.
        build: any other model from its spec and a seed, with the task's head.
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


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What one training run is made of, besides the model and the method.

    Attributes:
        encoded: reader -> the rows as its tokenizer encodes them, see :func:`reader_of`. The model
            that is trained reads those of ``"student"``; companions read those of the reader that
            they name. Readers with one tokenizer share one object.
        device: ``"cpu"``, or whatever accelerate finds.
    """

    task: Task
    encoded: Mapping[str, Encoded]
    recipe: Recipe = field(default_factory=Recipe)
    seed: int = 0
    device: Literal["auto", "cpu"] = "auto"
    reporter: Reporter = field(default_factory=Silent)

    @property
    def splits(self) -> Mapping[str, Any]:
        """The student's encoded rows by split, ``fit`` and ``held_out`` among them."""
        return self.encoded[STUDENT].splits

    @property
    def pad_id(self) -> int:
        """Id of the student's padding token."""
        return self.encoded[STUDENT].pad_id

    @property
    def labels(self) -> NDArray[Any]:
        """[N_fit] labels of ``fit``."""
        return np.asarray(self.splits["fit"]["label"][:])


@dataclass(frozen=True, kw_only=True)
class Context(Setup):
    """Everything a method may look at; what :class:`Setup` holds is the student's.

    Attributes:
        signals: the teacher's cached signals of ``fit``, or None for methods that need none.
        artifacts: where the method's own stages are cached.
        identity: plain JSON that identifies data and teacher; part of every stage's key.
        teacher_recipe, teacher_seed: what the teacher is fine-tuned with.
        stages: name and cost of what :meth:`stage` has run or found so far, for the records.
    """

    signals: TeacherSignals | None
    models: Models
    artifacts: ArtifactStore
    identity: Mapping[str, Any]
    teacher_recipe: Recipe = field(default_factory=Recipe)
    teacher_seed: int = 0
    stages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def student_width(self) -> int:
        """H_s, width of the student's embedding."""
        return self.models.student_shape.width

    @property
    def teacher(self) -> TeacherSignals:
        """The teacher's signals; ValueError if this run has no teacher."""
        if self.signals is None:
            raise ValueError("this method needs the teacher's signals, but there is no teacher")
        return self.signals

    def setup(self, reader: str, recipe: Recipe, seed: int) -> Setup:
        """For a stage that trains a model which reads the token ids of ``reader``."""
        encoded = {**self.encoded, STUDENT: self.encoded[reader]}
        return replace(self, encoded=encoded, recipe=recipe, seed=seed)

    @property
    def teacher_setup(self) -> Setup:
        """For a stage that trains the teacher: with its token ids, recipe and seed."""
        return self.setup(TEACHER, self.teacher_recipe, self.teacher_seed)

    def learner(
        self, model: nn.Module, recipe: Recipe, *, states: bool = False, reads: str = STUDENT
    ) -> Learner:
        """A companion: ``model`` with an optimiser of its own (on the run's device)."""
        from reaugkd.models.learner import Learner

        return Learner(model, recipe, states=states, reads=reads)

    def stage(self, kind: str, identity: Mapping[str, Any], build: Build) -> Artifact:
        """A stage's result, made by ``build(folder)`` unless it is there already.

        The key consists of ``self.identity`` and ``identity``; name everything else that decides
        the result: settings, recipes, seeds, the key of an earlier stage. What ``build`` returns
        under ``"cost"`` (see :func:`stage_cost`) goes to the record, also if the stage was found.
        """
        artifact = self.artifacts.get(kind, {**self.identity, **identity}, build)
        self.stages.append({"stage": kind, **artifact.facts.get(COST, {})})
        return artifact


def stage_cost(
    seconds: float = 0.0, forwards: int = 0, backwards: int = 0, peak_bytes: int | None = None
) -> dict[str, Any]:
    """The cost of a stage: seconds and peak memory of training, examples through its models."""
    return {
        "seconds": seconds,
        "forwards": forwards,
        "backwards": backwards,
        "peak_bytes": peak_bytes,
    }
