"""hnswlib: an HNSW graph."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import hnswlib
import numpy as np
from numpy.typing import NDArray

from reaugkd.retrieval.ann.graph import HNSW, reachable, require_bytes
from reaugkd.retrieval.normalise import Vectors


class Hnswlib(HNSW):
    """HNSW over inner products; hnswlib normalises what it is given. Its effort is ``ef``.

    It divides a batch of more than four queries per thread. ``seed`` draws the elements' layers.
    """

    name: ClassVar[str] = "hnswlib"
    version: ClassVar[str] = version("hnswlib")
    normalises = True

    @property
    def nbytes(self) -> int:
        """The file's bytes (vector 4 d, links 8 M + 4, label 8, upper layers) and 88 an element.

        The file leaves out, per element: a pointer to the upper layers (8), a mutex (40) and a
        node of the label table (40).
        """
        return int(self._graph.index_file_size()) + 88 * self.size

    def _empty(self) -> Any:
        return hnswlib.Index(space="cosine", dim=self.dim)

    def _build(self, rows: Vectors) -> None:
        self._graph = self._empty()
        self._graph.init_index(
            max_elements=len(rows),
            M=self.m,
            ef_construction=self.ef_construction,
            random_seed=self.seed,
        )
        self._graph.add_items(rows, num_threads=self.build_threads)

    def _search(self, rows: Vectors, k: int) -> tuple[NDArray[Any], NDArray[Any]]:
        self._graph.set_ef(max(self.effort or k, k))
        threads = 1 if len(rows) == 1 else self.threads
        try:
            labels, distances = self._graph.knn_query(rows, k, threads)
        except RuntimeError:
            distances, ids = reachable(self._ask, rows, k, RuntimeError)
            return 1.0 - distances, ids
        return np.subtract(1.0, distances, out=distances), labels.view(np.int64)

    def nearest(self, row: Vectors, k: int) -> tuple[list[float], list[int]]:
        """As the base class says; the distances become cosines number by number."""
        self._graph.set_ef(max(self.effort or k, k))
        try:
            labels, distances = self._graph.knn_query(row, k, 1)
        except RuntimeError:
            return super().nearest(row, k)
        return [1.0 - distance for distance in distances.tolist()[0]], labels.tolist()[0]

    def _ask(self, row: Vectors, k: int) -> tuple[Any, Any]:
        ids, distances = self._graph.knn_query(row, k=k, num_threads=1)
        return ids[0], distances[0]

    def _save(self, path: Path) -> None:
        self._graph.save_index(str(path))
        require_bytes(path, int(self._graph.index_file_size()))

    def _load(self, path: Path) -> None:
        self._graph = self._empty()
        self._graph.load_index(str(path), max_elements=self.size)
