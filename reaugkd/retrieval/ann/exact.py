"""Exact search: one matrix product over all entries."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from reaugkd.retrieval.ann.index import MISSING, AnnIndex, Ids
from reaugkd.retrieval.normalise import Vectors, unit_rows

_CELLS = 1 << 22
"""Similarities computed at a time: 16 MiB, and twice that for the partition's indices."""


class Exact(AnnIndex):
    """All similarities, no approximation. Holds the vectors it is given, without a copy.

    Equal similarities are answered in the order of their ids.
    """

    name: ClassVar[str] = "exact"
    version: ClassVar[str] = np.__version__
    instant: ClassVar[bool] = True

    def __init__(self, *, threads: int = 1, seed: int = 0, build_threads: int = 1) -> None:
        super().__init__(threads=threads, seed=seed, build_threads=build_threads)
        self._vectors: Vectors = np.empty((0, 0), np.float32)
        self._blas = ThreadpoolController().select(user_api="blas")

    @property
    def nbytes(self) -> int:
        """4 n d: the vectors, whoever else holds them."""
        return self._vectors.nbytes

    def similarities(self, queries: Vectors, ids: Ids) -> Vectors:
        """Cosine of each query [q, d] with its own entries ``ids`` [q, k], -inf where missing."""
        rows = unit_rows(queries, "query")
        result = np.empty(ids.shape, np.float32)
        step = max(1, _CELLS // (ids.shape[1] * self.dim))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            entries = self._vectors[np.maximum(ids[part], 0)]
            result[part] = np.einsum("qd,qkd->qk", rows[part], entries)
        result[ids == MISSING] = -np.inf
        return result

    def _build(self, rows: Vectors) -> None:
        self._vectors = rows

    def _search(self, rows: Vectors, k: int) -> tuple[NDArray[Any], NDArray[Any]]:
        similarities = np.empty((len(rows), k), np.float32)
        ids = np.empty((len(rows), k), np.int64)
        step = max(1, _CELLS // self.size)
        with self._blas.limit(limits=self.threads):
            for start in range(0, len(rows), step):
                part = slice(start, start + step)
                all_of_them = rows[part] @ self._vectors.T
                similarities[part], ids[part] = _largest(all_of_them, k)
        return similarities, ids

    def _save(self, path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, self._vectors)

    def _load(self, path: Path) -> None:
        vectors = np.load(path, mmap_mode="r")
        if vectors.shape != (self.size, self.dim) or vectors.dtype != np.float32:
            raise ValueError(f"{vectors.dtype} of shape {vectors.shape}")
        self._vectors = vectors


def _largest(similarities: Vectors, k: int) -> tuple[Vectors, Ids]:
    """The k largest of each row [q, n] in any order; among equal ones those of the lowest id."""
    n = similarities.shape[1]
    if k == n:
        return similarities, np.broadcast_to(np.arange(n), similarities.shape)
    ids = np.argpartition(similarities, n - k, axis=1)[:, n - k :]
    found = np.take_along_axis(similarities, ids, axis=1)
    smallest = found.min(axis=1, keepdims=True)
    # The partition picks any of those that equal the k-th: choose again where there is a choice.
    for row in np.flatnonzero((similarities >= smallest).sum(axis=1) > k):
        candidates = np.flatnonzero(similarities[row] >= smallest[row])
        order = np.argsort(-similarities[row, candidates], kind="stable")[:k]
        ids[row] = candidates[order]
        found[row] = similarities[row, ids[row]]
    return found, ids
