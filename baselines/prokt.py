"""ProKT (Shi et al., 2021): the teacher learns the task in steps that the student can follow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from baselines.joint import Joint, JointSettings, together
from reaugkd.batch import TEACHER, Batch, LossTerms, SignalBatch
from reaugkd.context import Context
from reaugkd.distiller import MethodSettings
from reaugkd.losses import hard_label, soft_label
from reaugkd.settings import Weight

if TYPE_CHECKING:
    from torch import Tensor, nn

    from reaugkd.models.encoder import Encoder, EncoderOutput
    from reaugkd.models.learner import Learner, Team

MULTIPLIER = "multiplier"


def teacher_loss(
    teacher: Tensor, student: Tensor, labels: Tensor, hard_weight: float, proximal_weight: float
) -> LossTerms:
    """What the teacher minimises: hard_weight CE + proximal_weight KL(p_s || p_t), at T = 1.

    The proximal term draws the teacher to where the student is, whose logits [B, C] are constant.
    Plain ProKT has the weights 1 - lam and lam, the dual form 1 and b (both verified in the
    official code).

    >>> import torch
    >>> t = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    >>> teacher_loss(t, t.flip(1), torch.tensor([0]), 0.6, 0.4).total.item()
    0.3728038...
    """
    return LossTerms(
        {"hard": hard_label(teacher, labels), "proximal": soft_label(teacher, student, 1.0)},
        {"hard": hard_weight, "proximal": proximal_weight},
    )


def zero(head: nn.Module) -> None:
    """Set all weights of a classifier to 0: every answer is uniform."""
    for parameter in head.parameters():
        parameter.data.zero_()


class ProKTSettings(JointSettings):
    """The temperature is 1, as in the official code."""

    proximal_weight: float = Field(
        0.4,
        ge=0,
        lt=1,
        description="lam: the teacher minimises (1 - lam) CE + lam KL(student || teacher). "
        "Source: official README, 0.4 for BERT",
    )
    student_hard_weight: Weight = Field(
        0.0,
        description="weight of the student's CE beside its KL(teacher || student) of weight 1. "
        "Source: official code, none",
    )
    zero_heads: bool = Field(
        True, description="both classifiers start as 0. Source: official README"
    )
    constraint: Literal["weight", "dual"] = Field(
        "weight",
        description="weight: proximal_weight as it is; dual: the teacher minimises CE + b (KL - "
        "dual_bound) and b learns. Source: official code, both; its default is weight",
    )
    dual_start: Weight = Field(1.0, description="b at the start. Source: official code")
    dual_bound: Weight = Field(1.0, description="eps, of the KL. Source: official code")
    dual_rate: Weight = Field(
        1e-3, description="eta: b <- max(0, b + eta (KL - eps)). Source: official code"
    )


class ProKT(Joint):
    """Teacher and student start pre-trained; the teacher is held back, the student follows it.

    For every batch, in this order (verified): the student answers (evaluation mode); the teacher
    takes a step on the true labels and towards that answer; the teacher answers with its NEW
    weights (evaluation mode); the student takes a step towards that answer and nothing else.
    """

    name: ClassVar[str] = "prokt"
    Settings: ClassVar[type[MethodSettings]] = ProKTSettings

    def __init__(self, settings: MethodSettings | None = None) -> None:
        super().__init__(settings)
        self._multiplier: float = self.settings.dual_start

    def initialise(self, student: Encoder) -> None:
        """Zero the student's classifier; the multiplier of the dual form starts anew."""
        self._multiplier = self.settings.dual_start
        if self.settings.zero_heads:
            zero(student.head)

    def companions(self, context: Context) -> Mapping[str, Learner]:
        """The teacher before fine-tuning, its classifier zeroed like the student's."""
        learners = super().companions(context)
        if self.settings.zero_heads:
            zero(learners[TEACHER].plain.get_submodule("head"))
        return learners

    def state(self) -> Mapping[str, float]:
        """The multiplier b, where it learns."""
        return {MULTIPLIER: self._multiplier} if self.settings.constraint == "dual" else {}

    def restore(self, state: Mapping[str, float]) -> None:
        """Go on with the multiplier of the checkpoint."""
        self._multiplier = state.get(MULTIPLIER, self._multiplier)

    def step(self, team: Team, batch: Batch, signals: SignalBatch | None) -> LossTerms:
        """One update of the teacher, then one of the student."""
        student, teacher = team.student, team.companions[TEACHER]
        held_by = student.provide(batch)
        taught = self._teacher_loss(teacher.forward(batch).logits, held_by.logits, batch.labels)
        teacher.update(taught.total)
        if self.settings.constraint == "dual":  # after every batch, as in the official code
            # Dual ascent on the constraint KL <= bound.
            above = taught.floats()["proximal"] - self.settings.dual_bound
            self._multiplier = max(0.0, self._multiplier + self.settings.dual_rate * above)
        shown = teacher.provide(batch)
        live = SignalBatch(shown.logits, shown.embedding)
        terms = self.loss(student.forward(batch), live, batch)
        student.update(terms.total)
        return together(terms, taught)

    def loss(self, student: EncoderOutput, signals: SignalBatch | None, batch: Batch) -> LossTerms:
        """The student's terms: ``soft``, and ``hard``, whose weight is 0 by default."""
        if signals is None:
            raise ValueError("prokt needs the teacher's logits")
        return LossTerms(
            {
                "soft": soft_label(student.logits, signals.logits, 1.0),
                "hard": hard_label(student.logits, batch.labels),
            },
            {"soft": 1.0, "hard": self.settings.student_hard_weight},
        )

    def _teacher_loss(self, teacher: Tensor, student: Tensor, labels: Tensor) -> LossTerms:
        if self.settings.constraint == "dual":
            # The constant -b eps of the official form has no gradient.
            return teacher_loss(teacher, student, labels, 1.0, self._multiplier)
        weight = self.settings.proximal_weight
        return teacher_loss(teacher, student, labels, 1.0 - weight, weight)
