"""ReAugKD whose student learns for the mixture that is used: it retrieves while it is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from reaugkd.batch import Batch
from reaugkd.context import Context
from reaugkd.distiller import Conditions, MethodSettings, Signal
from reaugkd.errors import UserError
from reaugkd.method import ReAugKD, ReAugKDSettings
from reaugkd.mixture import cosines, mixed, nearest_others, too_few
from reaugkd.settings import Positive

if TYPE_CHECKING:
    from torch import Tensor

    from reaugkd.models.encoder import EncoderOutput


class TrainedMixture(MethodSettings):
    """The mixture that the student is trained for."""

    k: int = Field(16, ge=1, le=1024, description="neighbours of a query. Source: ours")
    tau: Positive = Field(
        0.1, le=10, description="temperature of the neighbours' weights. Source: ours"
    )
    beta: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="weight of the neighbours; 0 is reaugkd, and with 1 the student's head would "
        "learn nothing. Source: ours",
    )


class ReAugKDRSettings(ReAugKDSettings):
    """ReAugKD's settings and the mixture of training."""

    retrieval: TrainedMixture = Field(
        default_factory=TrainedMixture, description="the mixture that the student is trained for"
    )


class ReAugKDR(ReAugKD):
    """ReAugKD with leave-one-out retrieval inside the loss.

    The student's embedding x of a row asks the knowledge base of serving (keys: the projected
    teacher embeddings of ``fit``, values: the teacher's soft labels) for the ``k`` nearest rows but
    its own. With w_j = softmax_j(x.z_j / tau), p = (1 - beta) p_s + beta sum_j w_j p_j takes the
    student's place in the soft and in the hard term: the hard one is -log p_y, the soft one
    compares softmax(log p / T), that is p^(1/T) normalised, with the teacher at T. A regression
    mixes scores. The relational term is ReAugKD's, and with beta 0 all of it is, bit for bit.

    Gradient reaches x through the cosines; which rows are nearest is a constant. That a row's
    context is retrieved in training as in use, and never itself, is what TabR (Gorishniy et al.,
    ICLR 2024) and ModernNCA (Ye et al., ICLR 2025) do for tables.
    """

    name: ClassVar[str] = "reaugkd-r"
    optional: ClassVar[frozenset[Signal]] = frozenset()
    Settings: ClassVar[type[MethodSettings]] = ReAugKDRSettings

    def __init__(self, settings: MethodSettings | None = None) -> None:
        super().__init__(settings)
        self._values: Tensor | None = None

    def unsupported(self, conditions: Conditions) -> str | None:
        """Fewer other rows than neighbours."""
        wanted: TrainedMixture = self.settings.retrieval
        return too_few("reaugkd-r.retrieval.k", wanted.k, conditions.rows) if wanted.beta else None

    def prepare(self, context: Context) -> None:
        """Train (or find) the head; the knowledge base is that of ``fit``."""
        import torch

        wanted: TrainedMixture = self.settings.retrieval
        logits = context.teacher.logits
        if wanted.beta and (reason := too_few("reaugkd-r.retrieval.k", wanted.k, len(logits))):
            raise UserError(reason)
        super().prepare(context)
        self._values = torch.from_numpy(np.array(logits))

    def answer(self, student: EncoderOutput, batch: Batch) -> Tensor:
        """Logits [B, C] of the mixture of the student's answer with what it retrieves."""
        wanted: TrainedMixture = self.settings.retrieval
        if not wanted.beta:
            return student.logits
        if self._keys is None or self._values is None:
            raise RuntimeError("ReAugKDR.prepare has not run: there is no knowledge base yet")
        device = student.embedding.device
        self._keys, self._values = self._keys.to(device), self._values.to(device)
        ids = nearest_others(student.embedding, self._keys, batch.rows, wanted.k)
        near = cosines(student.embedding, self._keys[ids])
        return mixed(student.logits, near, self._values[ids], tau=wanted.tau, weight=wanted.beta)
