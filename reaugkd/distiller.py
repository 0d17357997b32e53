"""The interface of a distillation method: what it needs, its settings, its stages and its loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from reaugkd.context import Context
    from reaugkd.models.encoder import Encoder, EncoderOutput
    from reaugkd.models.spec import ModelSpec
    from reaugkd.tasks.task import Task
    from reaugkd.training.learner import Learner, Team


class Signal(StrEnum):
    """What a method may want of the teacher.

    The first three are computed once per example and cached, so such a method never runs the
    teacher in the loop. The other two hand the method a teacher of its own, which it may move.
    """

    LOGITS = "logits"
    EMBEDDING = "embedding"
    STATES = "states of [CLS]"
    TEACHER = "live teacher"
    UNTRAINED = "live teacher, not fine-tuned"


CACHED = frozenset({Signal.LOGITS, Signal.EMBEDDING, Signal.STATES})
"""The signals that are cached."""

FINE_TUNED = CACHED | {Signal.TEACHER}
"""The signals that take a fine-tuned teacher."""


class Batch(NamedTuple):
    """One batch of examples.

    Attributes:
        inputs: the encoder's keyword arguments, e.g. ``input_ids`` [B, L] int64.
        labels: [B] int64 class ids or float32 scores.
        rows: [B] int64, row numbers in the split, the key of everything cached per example.
    """

    inputs: dict[str, Tensor]
    labels: Tensor
    rows: Tensor


class SignalBatch(NamedTuple):
    """The teacher's signals for one batch, float32.

    Attributes:
        logits: [B, C].
        embedding: [B, H_t].
        states: [B, D_t + 1, H_t], the [CLS] vector of the embeddings (index 0) and of every layer
            (index k is the output of layer k), or None unless the method needs ``STATES``. Cached
            in half precision.
    """

    logits: Tensor
    embedding: Tensor
    states: Tensor | None = None


@dataclass(frozen=True)
class LossTerms:
    """Named terms with explicit weights; the sum is what is minimised, each term is logged.

    >>> import torch
    >>> terms = LossTerms({"soft": torch.tensor(2.0), "hard": torch.tensor(1.0)},
    ...                   {"soft": 0.9, "hard": 0.1})
    >>> round(terms.total.item(), 6)
    1.9
    """

    values: Mapping[str, Tensor]
    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        if self.values.keys() != self.weights.keys():
            raise ValueError(f"terms {sorted(self.values)} but weights {sorted(self.weights)}")

    @property
    def total(self) -> Tensor:
        """The weighted sum. A term of weight 0 is left out, so it costs no backward pass."""
        parts = [
            self.weights[name] * value for name, value in self.values.items() if self.weights[name]
        ]
        if not parts:
            raise ValueError("every term of the loss has weight 0")
        return sum(parts[1:], start=parts[0])

    def floats(self) -> dict[str, float]:
        """The unweighted terms as plain numbers, for logs."""
        return {name: float(value.detach()) for name, value in self.values.items()}


class MethodSettings(BaseModel):
    """Base of every method's settings: unknown names are errors, every field is documented."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NoSettings(MethodSettings):
    """For methods that have nothing to set."""


class KDSettings(MethodSettings):
    """The canonical soft-label term with two free weights (methods differ in what alpha means)."""

    temperature: float = Field(
        2.0,
        gt=0,
        le=100,
        description="T of the soft labels. Source: AD-KD per-task scripts use 1-4",
    )
    soft_weight: float = Field(
        0.9, ge=0, description="weight of T^2 KL(teacher || student). Source: RepDistiller, 0.9"
    )
    hard_weight: float = Field(
        0.1, ge=0, description="weight of the true-label loss. Source: RepDistiller, 0.1"
    )

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if self.soft_weight == 0 and self.hard_weight == 0:
            raise ValueError("soft_weight and hard_weight are both 0: nothing would be learned")
        return self


class Shape(NamedTuple):
    """Width of an encoder's embedding and number of its layers."""

    width: int
    depth: int


@dataclass(frozen=True)
class Conditions:
    """What is known of a run before anything trains; a method may refuse it.

    Attributes:
        task: the task.
        student: its shape.
        teacher: its shape, None for a method that needs no teacher.
        batch_size: examples per forward pass of the student's recipe.
        accumulation: forward passes per optimiser step.
        epochs: of the student's recipe.
    """

    task: Task
    student: Shape
    teacher: Shape | None
    batch_size: int
    accumulation: int = 1
    epochs: int = 1


class Distiller(ABC):
    """One distillation method. State lives on the instance; two instances never see each other.

    Most methods implement :meth:`loss` alone. A method that trains a second model names it in
    :meth:`companions` and overrides :meth:`step`.

    Attributes:
        name: registered name.
        needs: what it uses of the teacher; empty means that it needs no teacher.
        Settings: its pydantic model.
        retrieves: whether the method's student queries a knowledge base at inference.
    """

    name: ClassVar[str]
    needs: ClassVar[frozenset[Signal]]
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

    def prepare(self, context: Context) -> None:  # noqa: B027  most methods have no stages
        """The stages before the student, resumable, each cached by ``context.stage``."""

    def rows(self, context: Context) -> NDArray[np.int64] | None:
        """Row numbers of ``fit`` that the student learns from, or None for all of them."""
        return None

    def initialise(self, student: Encoder) -> None:  # noqa: B027  most methods take it as it is
        """Change the student's initial weights, and forget what an earlier run has left in here.

        Called before every training, also before one that is resumed: its weights and what
        :meth:`state` returned are restored afterwards.
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

        Args:
            team: the student and the companions, each with its optimiser.
            batch: the batch; ``batch.rows`` keys whatever :meth:`prepare` cached per example.
            signals: the teacher's cached signals for the same rows, if the method needs any.

        Returns:
            The terms to log; by default those of :meth:`loss`, which the student has minimised.
        """
        terms = self.loss(team.student.forward(batch), signals, batch)
        team.student.update(terms.total)
        return terms

    @abstractmethod
    def loss(self, student: EncoderOutput, signals: SignalBatch | None, batch: Batch) -> LossTerms:
        """The student's loss of one batch.

        Args:
            student: the student's output, logits [B, C] and embedding [B, H_s].
            signals: the teacher's signals for the same rows (None without a teacher).
            batch: the batch.
        """

    def projection_identity(self) -> dict[str, Any]:
        """The settings, as plain JSON, that decide :meth:`project`; others may change freely."""
        return {}

    def project(self, teacher_embedding: NDArray[np.float32]) -> NDArray[np.float32]:
        """Teacher embeddings [n, H_t] in the space where the student's queries live, [n, H_s].

        Raises:
            NotImplementedError: for methods without such a map.
        """
        raise NotImplementedError(f"{self.name} has no projection of teacher embeddings")
