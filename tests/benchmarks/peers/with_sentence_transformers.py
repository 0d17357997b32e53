"""sentence-transformers' semantic_search, exact, over normalised vectors by their dot product.

That is how its guide makes it fast; by cosines it would normalise the whole base for every query.
It gives rows and scores; nothing is mixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from sentence_transformers.util import dot_score, semantic_search

from tests.benchmarks.peers.bed import Bed, K, Store


def store(bed: Bed) -> Store:
    """The search over the bed's keys."""
    corpus = torch.from_numpy(bed.base.keys.copy())
    queries = torch.from_numpy(bed.unit).split(1)

    def ask(number: int) -> Any:
        return semantic_search(queries[number], corpus, top_k=K, score_function=dot_score)

    def rows(number: int) -> Sequence[int]:
        return [int(hit["corpus_id"]) for hit in ask(number)[0]]

    return Store(ask, rows)
