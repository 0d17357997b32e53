"""Vanilla knowledge distillation (Hinton, Vinyals and Dean, 2015)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from reaugkd.batch import Batch, LossTerms, SignalBatch
from reaugkd.distiller import Distiller, KDSettings, MethodSettings, Signal
from reaugkd.losses import SoftLoss, kd_terms, soft_label

if TYPE_CHECKING:
    from reaugkd.models.encoder import EncoderOutput


class KD(Distiller):
    """soft_weight T^2 KL(teacher || student) + hard_weight CE, the teacher frozen.

    Methods that are KD from another teacher differ in the source that :meth:`prepare` returns.
    """

    name: ClassVar[str] = "kd"
    needs: ClassVar[frozenset[Signal]] = frozenset({Signal.LOGITS})
    Settings: ClassVar[type[MethodSettings]] = KDSettings

    @property
    def soft(self) -> SoftLoss:
        """The form of the soft-label term."""
        return soft_label

    def loss(self, student: EncoderOutput, signals: SignalBatch | None, batch: Batch) -> LossTerms:
        """Two terms, ``soft`` and ``hard``."""
        if signals is None:
            raise ValueError(f"{self.name} needs the teacher's logits")
        return kd_terms(student.logits, signals.logits, batch.labels, self.settings, self.soft)
