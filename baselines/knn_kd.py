"""kNN-KD: the teacher's answer mixed with those for its nearest rows (Yang et al., NAACL 2022)."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from baselines.kd import KD
from reaugkd.batch import Batch, SignalBatch
from reaugkd.context import Context, stage_cost
from reaugkd.distiller import Conditions, KDSettings, MethodSettings, Signal, SignalSource
from reaugkd.errors import UserError
from reaugkd.mixture import mixed, too_few
from reaugkd.reporter import Reporter
from reaugkd.settings import Positive
from reaugkd.signals import TeacherSignals, take

IDS, SIMILARITIES = "ids.npy", "similarities.npy"
BLOCK = 1024  # rows whose neighbours are looked for at a time


class KNNKDSettings(KDSettings):
    """The KD term and what its target is mixed with."""

    k: int = Field(
        16, ge=1, le=1024, description="neighbours of a row. Source: ours, as retrieval.k can be"
    )
    tau: Positive = Field(
        0.1,
        le=10,
        description="temperature of the neighbours' weights, softmax(cosine / tau). Source: ours, "
        "as retrieval.tau can be",
    )
    retrieval_weight: float = Field(
        0.5,
        ge=0,
        le=1,
        description="weight of the neighbours in the target; 0 is kd. Source: ours",
    )


@dataclass(frozen=True)
class Mixed:
    """The teacher's logits of ``fit``, each row's mixed with its neighbours'; a signal source.

    ``ids`` and ``similarities`` are [N, k], of other rows of ``fit``.
    """

    teacher: TeacherSignals
    ids: NDArray[np.int64]
    similarities: NDArray[np.float32]
    tau: float
    weight: float

    def batch(self, batch: Batch) -> SignalBatch:
        """The mixed logits of ``batch``."""
        own = self.teacher.batch(batch)
        neighbours = take(self.teacher.logits, take(self.ids, batch.rows))
        near = take(self.similarities, batch.rows)
        logits = mixed(own.logits, near, neighbours, tau=self.tau, weight=self.weight)
        return own._replace(logits=logits)


class KNNKD(KD):
    """KD whose target also holds what retrieval would say: the student then asks nobody.

    Every row of ``fit`` looks for the ``k`` nearest other rows by the cosine of the teacher's own
    embeddings (no projection); with w_j = softmax_j(cosine / tau) and p_j the teacher's soft label
    at T = 1 the target is p = (1 - retrieval_weight) p_own + retrieval_weight sum_j w_j p_j. The
    temperature comes afterwards: the soft-label term compares softmax(log p / T), that is p^(1/T)
    normalised, with softmax(z_s / T). A regression mixes scores. With weight 0 the teacher's logits
    stay as they are and it is KD, bit for bit.

    The neighbours are looked for once and kept; tau and the weights can change without a search.
    """

    name: ClassVar[str] = "knn-kd"
    needs: ClassVar[frozenset[Signal]] = frozenset({Signal.LOGITS, Signal.EMBEDDING})
    Settings: ClassVar[type[MethodSettings]] = KNNKDSettings

    def uses(self) -> frozenset[Signal]:
        """Without neighbours, no embeddings."""
        return self.needs if self.settings.retrieval_weight else KD.needs

    def unsupported(self, conditions: Conditions) -> str | None:
        """Fewer other rows than neighbours."""
        if not self.settings.retrieval_weight:
            return None
        return too_few("knn-kd.k", self.settings.k, conditions.rows)

    def prepare(self, context: Context) -> SignalSource | None:
        """Look (or have looked) for the neighbours of every row."""
        settings: KNNKDSettings = self.settings
        if not settings.retrieval_weight:
            return self.cached(context)
        embedding = context.teacher.embedding
        if embedding is None:
            raise UserError("knn-kd needs the teacher's embeddings")
        if reason := too_few("knn-kd.k", settings.k, len(embedding)):
            raise UserError(reason)

        def build(folder: Path) -> dict[str, Any]:
            began = time.perf_counter()
            near, ids = neighbours(embedding, settings.k, context.reporter)
            np.save(folder / SIMILARITIES, near)
            np.save(folder / IDS, ids)
            return {"cost": stage_cost(time.perf_counter() - began)}

        folder = context.stage("neighbours", {"k": settings.k}, build).path
        ids, near = (np.load(folder / name, mmap_mode="r") for name in (IDS, SIMILARITIES))
        teacher = replace(context.teacher, embedding=None, states=None)
        return Mixed(teacher, ids, near, settings.tau, settings.retrieval_weight)


def neighbours(
    embedding: NDArray[np.float32], k: int, reporter: Reporter
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Cosines and row numbers [n, k] of the nearest other rows of ``embedding`` [n, d], n > k.

    Exact and block by block. A row is left out of its own neighbours by its number, so one that
    equals it stays; among equal neighbours the lowest row number comes first.
    """
    import torch

    from reaugkd.retrieval.ann.exact import Exact
    from reaugkd.retrieval.mixing import without_self
    from reaugkd.retrieval.normalise import unit_rows

    keys = unit_rows(embedding, "teacher embedding")
    index = Exact(threads=torch.get_num_threads())
    index.build(keys)
    near, ids = np.empty((len(keys), k), np.float32), np.empty((len(keys), k), np.int64)
    reporter.start("neighbours of the rows", len(keys))
    for start in range(0, len(keys), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(keys)))
        near[rows], ids[rows] = without_self(*index.search(keys[rows], k + 1), rows)
        reporter.advance(len(rows))
    reporter.finish()
    return near, ids
