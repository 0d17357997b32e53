"""Deep mutual learning (Zhang et al., 2018): two models from scratch, each the other's teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from baselines.joint import Joint, JointSettings, together
from reaugkd.batch import TEACHER, Batch, LossTerms, SignalBatch
from reaugkd.distiller import MethodSettings
from reaugkd.losses import precise, soft_label
from reaugkd.settings import Weight

if TYPE_CHECKING:
    from torch import Tensor

    from reaugkd.models.encoder import EncoderOutput
    from reaugkd.models.learner import Learner, Team


def mutual_loss(
    logits: Tensor,
    peer: Tensor,
    labels: Tensor,
    kl_weight: float = 1.0,
    label_smoothing: float = 0.0,
) -> LossTerms:
    """What one model minimises: CE(z, y) + kl_weight KL(p_peer || p), both at T = 1.

    The direction (the peer is the target) and the peer as a constant are verified in the official
    code. With more than two models the paper averages the KL terms over the peers (recalled, not
    verified) and the code sums them (verified); with two models both are this. Logits are [B, C];
    ``label_smoothing`` is the share of the labels' mass spread evenly over the C classes.

    >>> import torch
    >>> a = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    >>> mutual_loss(a, a.flip(1), torch.tensor([0])).total.item()  # ln(1 + 1/e) + tanh(1/2)
    0.7753788...
    """
    from torch.nn import functional as F

    hard = F.cross_entropy(precise(logits), labels, label_smoothing=label_smoothing)
    return LossTerms(
        {"hard": hard, "soft": soft_label(logits, peer, 1.0)}, {"hard": 1.0, "soft": kl_weight}
    )


class DMLSettings(JointSettings):
    """The temperature is 1, as in the paper."""

    kl_weight: Weight = Field(
        1.0, description="weight of KL(peer || own), for both. Source: paper and official, 1"
    )
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="of the true labels. Source: the paper's loss has none; official code 0.1",
    )
    order: Literal["sequential", "simultaneous"] = Field(
        "sequential",
        description="sequential: the student learns from the teacher's answer after its update; "
        "simultaneous: from the answer before, one forward pass cheaper. Source: the paper's "
        "algorithm, recalled",
    )
    peer: Literal["train", "eval"] = Field(
        "train",
        description="mode of the peer whose answer is learned from: with dropout (train) or "
        "without (eval). Source: official code, train",
    )


class DML(Joint):
    """Teacher and student start pre-trained and teach each other, batch by batch.

    The teacher moves first, towards the student's answer; then the student, towards the teacher's
    answer on the SAME batch. In the official code each model draws a batch of its own for its
    update (verified), so there the second model always sees the first one updated: ``sequential``.
    """

    name: ClassVar[str] = "dml"
    Settings: ClassVar[type[MethodSettings]] = DMLSettings

    def step(self, team: Team, batch: Batch, signals: SignalBatch | None) -> LossTerms:
        """One update of the teacher, then one of the student."""
        student, teacher = team.student, team.companions[TEACHER]
        mine, theirs = student.forward(batch), teacher.forward(batch)
        to_teacher = self._answer(student, batch, mine)
        sequential = self.settings.order == "sequential"
        to_student = None if sequential else self._answer(teacher, batch, theirs)
        taught = self._mutual(theirs.logits, to_teacher.logits, batch)
        teacher.update(taught.total)
        if to_student is None:
            to_student = self._answer(teacher, batch, None)
        # The student's own pass is still valid: only the teacher has moved since.
        terms = self.loss(mine, SignalBatch(to_student.logits, to_student.embedding), batch)
        student.update(terms.total)
        return together(terms, taught)

    def loss(self, student: EncoderOutput, signals: SignalBatch | None, batch: Batch) -> LossTerms:
        """The student's two terms, ``hard`` and ``soft``, given the teacher's answer."""
        if signals is None:
            raise ValueError("dml needs the teacher's logits")
        return self._mutual(student.logits, signals.logits, batch)

    def _mutual(self, logits: Tensor, peer: Tensor, batch: Batch) -> LossTerms:
        settings: DMLSettings = self.settings
        return mutual_loss(logits, peer, batch.labels, settings.kl_weight, settings.label_smoothing)

    def _answer(
        self, learner: Learner, batch: Batch, output: EncoderOutput | None
    ) -> EncoderOutput:
        """What ``learner`` shows the other: its own pass where that may serve, or a new one."""
        if self.settings.peer == "eval":
            return learner.provide(batch)
        if output is not None:
            return output
        from torch import no_grad

        with no_grad():
            return learner.forward(batch)
