"""Means of rows that lie together: spherical k-means within each class."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from reaugkd.retrieval.condense.cells import Cells, assigned, counts_of, in_order, means
from reaugkd.retrieval.condense.classes import rows_by_class, shares
from reaugkd.retrieval.condense.condenser import MEANS, Condenser, Questions
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.normalise import Vectors

ITERATIONS = 25  # of Lloyd's algorithm: faiss's default


class KMeans(Condenser):
    """Spherical k-means (Dhillon and Modha, 2001) of the keys of each class, by faiss.

    Classes share the entries by the square root of their sizes. An entry is the direction of the
    mean key and the mean value of its cell. Scores are clustered by their keys alone: the mean
    score is the answer with the least squared error for a cell.
    """

    name: ClassVar[str] = "kmeans"
    makes: ClassVar[str] = MEANS
    draws: ClassVar[bool] = True
    every_class: ClassVar[bool] = True

    def condense(self, base: KnowledgeBase, questions: Questions | None) -> KnowledgeBase:
        """One entry per cell, in the order of their first rows."""
        return means(base, self.cells(base))

    def cells(self, base: KnowledgeBase) -> Cells:
        """The cell [n] of each row, numbered by their first rows."""
        assert self.entries is not None  # it is sized
        members, counts = rows_by_class(base), counts_of(base)
        cells, before = np.empty(len(base), np.int64), 0
        for rows, share in zip(members, shares([*map(len, members)], self.entries), strict=True):
            cells[rows] = before + _cells(base.keys[rows], counts[rows], share, self.draw)
            before += share
        return in_order(cells)


def _cells(keys: Vectors, counts: NDArray[np.int64], number: int, seed: int) -> Cells:
    """The cell [n] of each key [n, d], none of ``number`` empty."""
    if number == len(keys):
        return np.arange(number)
    if number == 1:
        return np.zeros(len(keys), np.int64)
    import faiss

    kmeans = faiss.Kmeans(
        keys.shape[1],
        number,
        niter=ITERATIONS,
        spherical=True,
        seed=seed,
        init_method=faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS,
        min_points_per_centroid=1,  # it warns below 39
        max_points_per_centroid=len(keys),  # and draws a sample above 256
    )
    with threadpool_limits(1):  # so that the cells do not depend on the threads there are
        kmeans.train(keys, counts.astype(np.float32))
    centres: Vectors = np.asarray(kmeans.centroids)
    return assigned(keys, centres)
