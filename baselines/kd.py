"""Vanilla knowledge distillation (Hinton, Vinyals and Dean, 2015)."""

from __future__ import annotations

from typing import ClassVar

from reaugkd.distiller import (
    Batch,
    Distiller,
    KDSettings,
    LossTerms,
    MethodSettings,
    Signal,
    SignalBatch,
)
from reaugkd.losses import hard_label, soft_label
from reaugkd.models.encoder import EncoderOutput


class KD(Distiller):
    """soft_weight T^2 KL(teacher || student) + hard_weight CE, the teacher frozen and cached."""

    name: ClassVar[str] = "kd"
    needs: ClassVar[frozenset[Signal]] = frozenset({Signal.LOGITS})
    Settings: ClassVar[type[MethodSettings]] = KDSettings

    def loss(self, student: EncoderOutput, signals: SignalBatch | None, batch: Batch) -> LossTerms:
        """Two terms, ``soft`` and ``hard``."""
        if signals is None:
            raise ValueError("kd needs the teacher's logits")
        settings: KDSettings = self.settings
        return LossTerms(
            {
                "soft": soft_label(student.logits, signals.logits, settings.temperature),
                "hard": hard_label(student.logits, batch.labels),
            },
            {"soft": settings.soft_weight, "hard": settings.hard_weight},
        )
