"""The loop that one writes over hnswlib: its call, then weights and mixture in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from tests.benchmarks.peers.bed import BETA, EFFORT, TAU, Bed, K, Store


def store(bed: Bed) -> Store:
    """The loop over the graph that the bed has built."""
    held: Any = bed.hnswlib
    graph, values = held._graph, bed.base.values
    graph.set_ef(EFFORT)
    logits = [row.numpy() for row in bed.logits]
    queries = [row.numpy() for row in bed.embeddings]

    def ask(number: int) -> NDArray[Any]:
        labels, distances = graph.knn_query(queries[number], k=K, num_threads=1)
        weights = softmax((1.0 - distances) / TAU, axis=1)
        mean = np.einsum("qk,qkc->qc", weights, values[labels.astype(np.int64)])
        mixed: NDArray[Any] = (1.0 - BETA) * softmax(logits[number], axis=1) + BETA * mean
        return mixed

    def rows(number: int) -> Sequence[int]:
        return graph.knn_query(queries[number], k=K, num_threads=1)[0][0].tolist()

    return Store(ask, rows, ask)
