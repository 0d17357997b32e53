"""reaugkd's query path: from a student's logits and embedding to the mixture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from reaugkd.retrieval.ann.index import AnnIndex
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.query import QueryPath
from tests.benchmarks.peers.bed import BETA, TAU, Bed, K, Store


def over(bed: Bed, base: KnowledgeBase, index: AnnIndex) -> Store:
    """The path over ``base``, which is the bed's or its condensed one."""
    path = QueryPath.over(base, index, k=K, tau=TAU, beta=BETA)
    logits, embeddings = bed.logits, bed.embeddings

    def ask(number: int) -> object:
        return path(logits[number], embeddings[number])

    def rows(number: int) -> Sequence[int]:
        answer = path.answer(logits[number].numpy(), embeddings[number].numpy())
        return base.ids[answer.rows[0]].tolist()

    def answer(number: int) -> NDArray[Any]:
        return path(logits[number], embeddings[number]).numpy()

    return Store(ask, rows, answer)
