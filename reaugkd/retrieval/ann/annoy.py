"""annoy: a forest of random projection trees."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from annoy import AnnoyIndex
from numpy.typing import NDArray

from reaugkd.retrieval.ann.index import MISSING, AnnIndex, ladder
from reaugkd.retrieval.normalise import Vectors


class Annoy(AnnIndex):
    """Trees over the angular distance. Its effort is ``search_k``, the nodes inspected.

    annoy's "angular" distance of two vectors is sqrt(2 - 2 cos), so cos = 1 - distance^2 / 2;
    its "dot" is meant for vectors of different lengths and adds a dimension for them.
    Queries are answered one at a time by one thread, whatever ``threads`` says. More trees find
    more and weigh more.
    """

    name: ClassVar[str] = "annoy"
    version: ClassVar[str] = version("annoy")
    normalises = True

    def __init__(
        self, *, n_trees: int = 50, threads: int = 1, seed: int = 0, build_threads: int = 1
    ) -> None:
        super().__init__(threads=threads, seed=seed, build_threads=build_threads)
        self.n_trees = n_trees
        self._forest: Any = None

    def params(self) -> dict[str, Any]:
        """The number of trees beside the shared ones."""
        return {"n_trees": self.n_trees, **super().params()}

    def efforts(self, k: int) -> list[int]:
        """``search_k`` from annoy's own default, k n_trees, to every element in every tree."""
        return ladder(k * self.n_trees, self.size * self.n_trees)

    @property
    def nbytes(self) -> int:
        """4 d + 12 for each element and each node of each tree.

        A tree has about 3 nodes per d + 2 elements: as many fit into a leaf, which is two thirds
        full on average, and there is a split for every leaf. (Within 5 % of the file.)
        """
        nodes = self.n_trees * (3.0 * self.size / (self.dim + 2) + 1)
        return round((self.size + nodes) * (4 * self.dim + 12))

    def _build(self, rows: Vectors) -> None:
        self._forest = AnnoyIndex(self.dim, "angular")
        self._forest.set_seed(self.seed)
        for number, row in enumerate(rows):
            self._forest.add_item(number, row)
        self._forest.build(self.n_trees, n_jobs=self.build_threads)

    def _search(self, rows: Vectors, k: int) -> tuple[NDArray[Any], NDArray[Any]]:
        distances = np.empty((len(rows), k), np.float32)
        ids = np.empty((len(rows), k), np.int64)
        effort = -1 if self.effort is None else self.effort
        # Lists of Python's numbers: annoy takes arrays too, at five times the cost.
        for number, row in enumerate(rows.tolist()):
            nearest, apart = self._forest.get_nns_by_vector(row, k, effort, True)
            if len(nearest) < k:
                ids[number], distances[number] = MISSING, 0.0
            ids[number, : len(nearest)] = nearest
            distances[number, : len(apart)] = apart
        np.multiply(distances, distances, out=distances)
        return 1.0 - 0.5 * distances, ids

    def nearest(self, row: Vectors, k: int) -> tuple[list[float], list[int]]:
        """As the base class says, without arrays; fewer than k where annoy finds fewer."""
        effort = -1 if self.effort is None else self.effort
        ids, distances = self._forest.get_nns_by_vector(row.tolist()[0], k, effort, True)
        return [1.0 - 0.5 * distance * distance for distance in distances], ids

    def _save(self, path: Path) -> None:
        self._forest.save(str(path))  # from here on annoy maps this file, which outlives a rename

    def _load(self, path: Path) -> None:
        self._forest = AnnoyIndex(self.dim, "angular")
        self._forest.load(str(path))
