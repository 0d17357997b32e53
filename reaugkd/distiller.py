"""The interface of a distillation method: what it needs, its settings, its stages and its loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from reaugkd.reporter import Reporter, Silent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from reaugkd.artifacts import ArtifactStore
    from reaugkd.models import EncoderOutput
    from reaugkd.signals import TeacherSignals
    from reaugkd.tasks.task import Task


class Signal(StrEnum):
    """What a method may want of the teacher; all of these are computed once and cached."""

    LOGITS = "logits"
    EMBEDDING = "embedding"


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
    """The teacher's signals for one batch: logits [B, C] and embedding [B, H_t], float32."""

    logits: Tensor
    embedding: Tensor


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


@dataclass(frozen=True)
class Context:
    """Everything a method may look at while it prepares.

    Attributes:
        task: the task.
        labels: [N_fit] labels of the fit split.
        signals: the teacher's cached signals of the fit split, or None for methods without teacher.
        student_width: H_s, width of the student's embedding.
        artifacts: where the method's own stages are cached.
        identity: plain JSON that identifies data and teacher; part of every stage's key.
        seed: of everything random in the stages.
        reporter: where progress goes.
    """

    task: Task
    labels: NDArray[Any]
    signals: TeacherSignals | None
    student_width: int
    artifacts: ArtifactStore
    identity: Mapping[str, Any]
    seed: int = 0
    reporter: Reporter = field(default_factory=Silent)

    @property
    def teacher(self) -> TeacherSignals:
        """The teacher's signals.

        Raises:
            ValueError: if this run has no teacher.
        """
        if self.signals is None:
            raise ValueError("this method needs the teacher's signals, but there is no teacher")
        return self.signals


class Distiller(ABC):
    """One distillation method. State lives on the instance; two instances never see each other.

    Attributes:
        name: registered name.
        needs: which signals of the teacher it uses; empty means that it needs no teacher.
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

    def unsupported(self, task: Task) -> str | None:
        """Why the method cannot run on ``task``, or None if it can."""
        return None

    def prepare(self, context: Context) -> None:  # noqa: B027  most methods have no stages
        """The stages before the student, resumable, each cached under its own key."""

    @abstractmethod
    def loss(self, student: EncoderOutput, signals: SignalBatch | None, batch: Batch) -> LossTerms:
        """The loss of one batch.

        Args:
            student: the student's output, logits [B, C] and embedding [B, H_s].
            signals: the teacher's cached signals for the same rows (None without a teacher).
            batch: the batch; ``batch.rows`` keys whatever :meth:`prepare` cached per example.
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
