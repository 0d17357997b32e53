"""The control without a teacher: the student fine-tuned on the true labels."""

from __future__ import annotations

from typing import ClassVar

from reaugkd.distiller import (
    Batch,
    Distiller,
    LossTerms,
    MethodSettings,
    NoSettings,
    Signal,
    SignalBatch,
)
from reaugkd.losses import hard_label
from reaugkd.models.encoder import EncoderOutput


class FineTune(Distiller):
    """Cross-entropy (squared error for regression) on the true labels only."""

    name: ClassVar[str] = "finetune"
    needs: ClassVar[frozenset[Signal]] = frozenset()
    Settings: ClassVar[type[MethodSettings]] = NoSettings

    def loss(self, student: EncoderOutput, signals: SignalBatch | None, batch: Batch) -> LossTerms:
        """One term, ``hard``."""
        return LossTerms({"hard": hard_label(student.logits, batch.labels)}, {"hard": 1.0})
