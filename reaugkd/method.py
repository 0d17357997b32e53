"""ReAugKD (Zhang et al., ACL 2023): soft labels, relational alignment, retrieval at inference."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from reaugkd import projection
from reaugkd.batch import Batch, LossTerms, SignalBatch
from reaugkd.context import Context, stage_cost
from reaugkd.distiller import Distiller, KDSettings, MethodSettings, Signal
from reaugkd.losses import kd_terms, relational_kl
from reaugkd.projection import HeadRecipe
from reaugkd.settings import Weight

if TYPE_CHECKING:
    from torch import Tensor, nn

    from reaugkd.models.encoder import EncoderOutput

HEAD = "head.safetensors"


class ReAugKDSettings(KDSettings):
    """The KD term plus the relational term; what the paper leaves open is a setting."""

    relation_weight: Weight = Field(
        1.0, description="alpha of the relational KL. Source: unknown; ours, from {1, 5, 10}"
    )
    tau: float = Field(
        0.1, gt=0, le=10, description="temperature of the relational softmax. Source: unknown; ours"
    )
    self_term: bool = Field(
        True, description="include j = i in q and qbar. Source: the recalled form includes it"
    )
    head: HeadRecipe = Field(default_factory=HeadRecipe, description="the projection head's recipe")


class ReAugKD(Distiller):
    """The student's embedding is drawn to where the teacher's neighbours lie, then it may ask them.

    Stage 1 (:meth:`prepare`) trains the projection head; the student then learns ``soft_weight``
    T^2 KL + ``hard_weight`` CE + ``relation_weight`` KL(q || qbar). Its embedding and the projected
    teacher embedding share one space, so at inference it is a query to a knowledge base of those.

    Where a black-box teacher has no embeddings there is nothing to align with, hence no head and no
    relational term: the student learns as in KD and queries a knowledge base of its own embeddings.
    """

    name: ClassVar[str] = "reaugkd"
    needs: ClassVar[frozenset[Signal]] = frozenset({Signal.LOGITS, Signal.EMBEDDING})
    optional: ClassVar[frozenset[Signal]] = frozenset({Signal.EMBEDDING})
    Settings: ClassVar[type[MethodSettings]] = ReAugKDSettings
    retrieves: ClassVar[bool] = True

    def __init__(self, settings: MethodSettings | None = None) -> None:
        super().__init__(settings)
        self._head: nn.Linear | None = None
        self._keys: Tensor | None = None

    def prepare(self, context: Context) -> None:
        """Train (or find) the head and project the embeddings of ``fit``, if there are any."""
        import torch
        from safetensors.torch import load_file, save_file

        settings: ReAugKDSettings = self.settings
        embedding = context.teacher.embedding
        if embedding is None:
            return

        def build(folder: Path) -> dict[str, Any]:
            began = time.perf_counter()
            head, history = projection.train_head(
                embedding,
                context.labels,
                context.student_width,
                settings.head,
                seed=context.seed,
                reporter=context.reporter,
            )
            save_file(head.state_dict(), folder / HEAD)
            return {"loss": history, "cost": stage_cost(time.perf_counter() - began)}

        recipe, width = settings.head.model_dump(mode="json"), context.student_width
        identity = {"recipe": recipe, "width": width, "seed": context.seed}
        artifact = context.stage("projection", identity, build)
        self._head = torch.nn.Linear(embedding.shape[1], context.student_width, bias=False)
        self._head.load_state_dict(load_file(artifact.path / HEAD))
        self._keys = torch.from_numpy(projection.apply(self._head, embedding))

    def projection_identity(self) -> dict[str, Any]:
        """The head's recipe: weights and temperatures of the student's loss do not touch it."""
        return {"head": self.settings.head.model_dump(mode="json")}

    def project(self, teacher_embedding: NDArray[np.float32]) -> NDArray[np.float32]:
        """L2-normalised projections of teacher embeddings, [n, H_t] -> [n, H_s]."""
        if self._head is None:
            raise RuntimeError("ReAugKD.prepare has not run: there is no projection head yet")
        return projection.apply(self._head, teacher_embedding)

    def answer(self, student: EncoderOutput, batch: Batch) -> Tensor:
        """The logits [B, C] that the soft and the hard term judge: the student's own."""
        return student.logits

    def loss(self, student: EncoderOutput, signals: SignalBatch | None, batch: Batch) -> LossTerms:
        """Three terms: ``soft``, ``hard`` and, where there are embeddings, ``relation``."""
        settings: ReAugKDSettings = self.settings
        if signals is None:
            raise RuntimeError("reaugkd needs the teacher's logits")
        judged = kd_terms(self.answer(student, batch), signals.logits, batch.labels, settings)
        if signals.embedding is None:
            return judged
        if self._keys is None:
            raise RuntimeError("ReAugKD.prepare has not run: there are no keys yet")
        keys = self._keys[batch.rows.cpu()].to(student.embedding.device)
        relation = relational_kl(
            student.embedding, keys, settings.tau, self_term=settings.self_term
        )
        return judged.plus(relation=(settings.relation_weight, relation))
