"""What every store searches: clustered vectors, and queries with their student's logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from reaugkd.retrieval import ann, condense, mixing
from reaugkd.retrieval.ann.index import AnnIndex
from reaugkd.retrieval.clusters import Clusters
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.normalise import unit_rows

WIDTH, K, TAU, BETA, EFFORT = 384, 10, 0.1, 0.5, 64
CONDENSER = "kmeans:256"


class Store(NamedTuple):
    """One tool before the bed.

    Attributes:
        ask: answers query number i in the tool's own way; this is timed.
        rows: the rows of the base that it finds for query i, the nearest first.
        answer: the mixture [1, C] for query i; None of a tool that gives neighbours alone.
    """

    ask: Callable[[int], object]
    rows: Callable[[int], Sequence[int]]
    answer: Callable[[int], NDArray[Any]] | None = None


@dataclass(frozen=True)
class Bed:
    """A base of ``size`` vectors and ``count`` queries; indexes are built once and shared."""

    size: int
    count: int

    @cached_property
    def base(self) -> KnowledgeBase:
        embeddings, logits = Clusters(WIDTH).draw(self.size, seed=0)
        return KnowledgeBase.build(embeddings, mixing.probabilities(logits), np.arange(self.size))

    @cached_property
    def condensed(self) -> KnowledgeBase:
        return condense.make(CONDENSER)(self.base)

    @cached_property
    def _drawn(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        embeddings, logits = Clusters(WIDTH).draw(self.count, seed=1)
        return embeddings.astype(np.float32), logits

    @cached_property
    def embeddings(self) -> list[torch.Tensor]:
        """[1, d] each, as a student's forward leaves them."""
        return list(torch.from_numpy(self._drawn[0]).split(1))

    @cached_property
    def logits(self) -> list[torch.Tensor]:
        """[1, C] each."""
        return list(torch.from_numpy(self._drawn[1]).split(1))

    @cached_property
    def unit(self) -> NDArray[np.float32]:
        """The queries [count, d] of unit length, which the other tools get for nothing."""
        rows: NDArray[np.float32] = unit_rows(self._drawn[0])
        return rows

    @cached_property
    def exact(self) -> AnnIndex:
        return self._index("exact", self.base)

    @cached_property
    def hnswlib(self) -> AnnIndex:
        return self._index("hnswlib", self.base)

    @cached_property
    def faiss(self) -> AnnIndex:
        return self._index("faiss", self.base)

    @cached_property
    def exact_condensed(self) -> AnnIndex:
        return self._index("exact", self.condensed)

    @staticmethod
    def _index(name: str, base: KnowledgeBase) -> AnnIndex:
        index = ann.make(name)
        index.build(base.keys)
        if index.effort is not None:
            index.effort = EFFORT
            index.search(base.keys[:1], K)  # tells the library its effort
        return index
