"""hnswlib: an HNSW graph."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import hnswlib
import numpy as np
from numpy.typing import NDArray

from reaugkd.retrieval.ann.index import MISSING, AnnIndex, ladder
from reaugkd.retrieval.normalise import Vectors


class Hnswlib(AnnIndex):
    """HNSW over inner products; hnswlib normalises what it is given. Effort: ``ef``, default 64.

    Args:
        m: links per element and layer (twice as many on the lowest).
        ef_construction: length of the candidate list while building.
        threads: of one search; hnswlib divides a batch of more than four queries per thread.
        seed: of the layers that elements are drawn into.
        build_threads: of the build.
    """

    name: ClassVar[str] = "hnswlib"
    version: ClassVar[str] = version("hnswlib")
    normalises = True

    def __init__(
        self,
        *,
        m: int = 16,
        ef_construction: int = 200,
        threads: int = 1,
        seed: int = 0,
        build_threads: int = 1,
    ) -> None:
        super().__init__(threads=threads, seed=seed, build_threads=build_threads)
        self.m = m
        self.ef_construction = ef_construction
        self.effort = 64
        self._graph: Any = None

    def params(self) -> dict[str, Any]:
        """M and efConstruction beside the shared ones."""
        return {"m": self.m, "ef_construction": self.ef_construction, **super().params()}

    def efforts(self, k: int) -> list[int]:
        """``ef`` from k (hnswlib's least) to the number of elements."""
        return ladder(k, self.size)

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
            return self._reachable(rows, k)
        return np.subtract(1.0, distances, out=distances), labels.view(np.int64)

    def nearest(self, row: Vectors, k: int) -> tuple[list[float], list[int]]:
        """As the base class says; the distances become cosines number by number."""
        self._graph.set_ef(max(self.effort or k, k))
        try:
            labels, distances = self._graph.knn_query(row, k, 1)
        except RuntimeError:
            return super().nearest(row, k)
        return [1.0 - distance for distance in distances.tolist()[0]], labels.tolist()[0]

    def _reachable(self, rows: Vectors, k: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """As many of the k answers as each query can reach.

        A sparse graph may have elements without a way to them; where fewer than k can be reached,
        hnswlib answers nothing at all.
        """
        distances = np.zeros((len(rows), k), np.float32)
        ids = np.full((len(rows), k), MISSING)
        for number, row in enumerate(rows):
            for fewer in range(k, 0, -1):
                try:
                    found, at = self._graph.knn_query(row, k=fewer, num_threads=1)
                except RuntimeError:
                    continue
                ids[number, :fewer], distances[number, :fewer] = found[0], at[0]
                break
        return 1.0 - distances, ids

    def _save(self, path: Path) -> None:
        self._graph.save_index(str(path))
        expected = int(self._graph.index_file_size())
        if path.stat().st_size != expected:  # hnswlib does not notice a full disk
            raise OSError(f"only {path.stat().st_size} of {expected} bytes were written")

    def _load(self, path: Path) -> None:
        self._graph = self._empty()
        self._graph.load_index(str(path), max_elements=self.size)
