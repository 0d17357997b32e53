"""The interface of a distillation method: what it needs, its settings, its stages and its loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from reaugkd.batch import Batch, LossTerms, Shape, SignalBatch
from reaugkd.context import Context
from reaugkd.models.spec import ModelSpec
from reaugkd.settings import KDSettings, MethodSettings, NoSettings
from reaugkd.signals import SignalSource, TeacherSignals
from reaugkd.tasks.task import Task

if TYPE_CHECKING:
    from torch import nn

    from reaugkd.models.encoder import Encoder, EncoderOutput
    from reaugkd.models.learner import Learner, Team

__all__ = [
    "CACHED",
    "FINE_TUNED",
    "Batch",
    "Conditions",
    "Distiller",
    "KDSettings",
    "LIVE",
    "LossTerms",
    "MethodSettings",
    "NoSettings",
    "Shape",
    "Signal",
    "SignalBatch",
    "SignalSource",
]


class Signal(StrEnum):
    """What a method may want of the teacher.

    The first three are cached per example, so such a method never runs the teacher in the loop. The
    other two hand the method a teacher of its own, which it may move.
    """

    LOGITS = "logits"
    EMBEDDING = "embedding"
    STATES = "states of [CLS]"
    TEACHER = "live teacher"
    UNTRAINED = "live teacher, not fine-tuned"


CACHED = frozenset({Signal.LOGITS, Signal.EMBEDDING, Signal.STATES})  # the signals that are cached
FINE_TUNED = CACHED | {Signal.TEACHER}  # the signals that take a fine-tuned teacher
LIVE = frozenset({Signal.TEACHER, Signal.UNTRAINED})  # a model that the method may train


@dataclass(frozen=True)
class Conditions:
    """What is known of a run before anything trains; a method may refuse it.

    ``teacher`` is None for a method that needs none, and where the teacher is a black box;
    ``batch_size`` (examples per forward pass), ``accumulation`` and ``epochs`` are those of the
    student's recipe, ``teacher_epochs`` those of the teacher's, ``rows`` those of ``fit``.
    """

    task: Task
    student: Shape
    teacher: Shape | None
    batch_size: int
    accumulation: int = 1
    epochs: int = 1
    teacher_epochs: int = 1
    rows: int | None = None


class Distiller(ABC):
    """One distillation method. State lives on the instance; two instances never see each other.

    Most methods implement :meth:`loss` alone. A method that trains a second model names it in
    :meth:`companions` and overrides :meth:`step`.

    Attributes:
        name: registered name.
        needs: what it uses of the teacher; empty means that it needs no teacher.
        optional: what it does without, of its needs, where a black-box teacher does not say it.
        Settings: its pydantic model.
        retrieves: whether the method's student queries a knowledge base at inference.
    """

    name: ClassVar[str]
    needs: ClassVar[frozenset[Signal]]
    optional: ClassVar[frozenset[Signal]] = frozenset()
    Settings: ClassVar[type[MethodSettings]]
    retrieves: ClassVar[bool] = False

    def __init__(self, settings: MethodSettings | None = None) -> None:
        self.settings: Any = self.Settings() if settings is None else settings
        if not isinstance(self.settings, self.Settings):
            raise TypeError(
                f"{self.name} takes {self.Settings.__name__}, not {type(settings).__name__}"
            )

    def unsupported(self, conditions: Conditions) -> str | None:
        """Why the method cannot run under ``conditions``, or None if it can."""
        return None

    def further_models(self) -> tuple[ModelSpec, ...]:
        """Models that the settings name besides teacher and student.

        They are built once, untrained, before anything trains, so that a mistake shows early, and
        their content decides the student's key.
        """
        return ()

    def uses(self) -> frozenset[Signal]:
        """What it uses of the teacher under its settings; :attr:`needs` unless they decide."""
        return self.needs

    @property
    def wants_states(self) -> bool:
        """Whether the student's forward passes hand out all layers' hidden states."""
        return Signal.STATES in self.needs

    def prepare(self, context: Context) -> SignalSource | None:
        """Run the stages before the student, resumable, each cached by ``context.stage``.

        Returns where the loop gets the signals of each batch; None stands for :meth:`cached`.
        """
        return None

    def cached(self, context: Context) -> TeacherSignals | None:
        """The teacher's cached signals as far as the method needs them."""
        if not self.needs & CACHED:
            return None
        if Signal.STATES in self.needs:
            return context.teacher
        return replace(context.teacher, states=None)  # large: read only for those who want them

    def rows(self, context: Context) -> NDArray[np.int64] | None:
        """Row numbers of ``fit`` that the student learns from, or None for all of them."""
        return None

    def initialise(self, student: Encoder) -> None:  # noqa: B027  most methods take it as it is
        """Change the student's initial weights, and forget what an earlier run has left in here.

        Called before every training; of one that is resumed, weights and state are restored after.
        """

    def state(self) -> Mapping[str, float]:
        """What the method itself has learned so far beside the models; part of the checkpoint."""
        return {}

    def restore(self, state: Mapping[str, float]) -> None:  # noqa: B027  most have none
        """Go on from what :meth:`state` returned when the checkpoint was written."""

    def companions(self, context: Context) -> Mapping[str, Learner]:
        """Further models that are trained beside the student, by name (see ``context.learner``)."""
        return {}

    def adapter(self, context: Context) -> nn.Module | None:
        """Further parameters that the student's optimiser trains and nobody keeps."""
        return None

    def begin_epoch(self, epoch: int, epochs: int) -> None:  # noqa: B027  for curricula only
        """Called before each epoch, from 0, also before one that is resumed in its middle."""

    def step(self, team: Team, batch: Batch, signals: SignalBatch | None) -> LossTerms:
        """One optimiser step (or one part of it, where gradients are accumulated).

        ``signals`` come from the source that :meth:`prepare` returned, if any. Returns the terms to
        log; by default those of :meth:`loss`, which the student has minimised.
        """
        terms = self.loss(team.student.forward(batch), signals, batch)
        team.student.update(terms.total)
        return terms

    @abstractmethod
    def loss(self, student: EncoderOutput, signals: SignalBatch | None, batch: Batch) -> LossTerms:
        """The student's loss of one batch, from its logits [B, C] and embedding [B, H_s].

        ``signals`` are the teacher's for the same rows, None without a teacher.
        """

    def projection_identity(self) -> dict[str, Any]:
        """The settings, as plain JSON, that decide :meth:`project`; others may change freely."""
        return {}

    def project(self, teacher_embedding: NDArray[np.float32]) -> NDArray[np.float32]:
        """Teacher embeddings [n, H_t] in the space of the student's queries, [n, H_s].

        Raises NotImplementedError for methods without such a map.
        """
        raise NotImplementedError(f"{self.name} has no projection of teacher embeddings")
