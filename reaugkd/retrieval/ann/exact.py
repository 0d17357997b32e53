"""Exact search: one matrix product over all entries."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from reaugkd.retrieval.ann.index import MISSING, AnnIndex, Ids
from reaugkd.retrieval.normalise import Vectors, unit_rows

_CELLS = 1 << 24
"""Similarities computed at a time: 64 MiB, so that 32 queries read MNLI's vectors once."""

_ROUNDING = 4e-6
"""Further than this apart, two float32 cosines of unit rows stand in their true order.

The product's rounding depends on where in its blocks a row lies: equal rows may differ by 1e-7.
"""


class Exact(AnnIndex):
    """All similarities, no approximation. Holds the vectors it is given, without a copy.

    A product over all entries (numpy's for one query, torch's twice as fast one for a batch)
    finds the few that may be among the nearest. Their similarities are computed once more, each
    entry in the same way wherever it lies, so equal entries are equally similar and answered in
    the order of their ids, and a query's answer does not depend on its batch or the threads.
    """

    name: ClassVar[str] = "exact"
    version: ClassVar[str] = np.__version__
    instant: ClassVar[bool] = True

    def __init__(self, *, threads: int = 1, seed: int = 0, build_threads: int = 1) -> None:
        super().__init__(threads=threads, seed=seed, build_threads=build_threads)
        self._vectors: Vectors = np.empty((0, 0), np.float32)
        self._tensor = torch.empty(0, 0)
        pools = ThreadpoolController().select(user_api="blas").lib_controllers
        self._blas = [pool for pool in pools if "numpy" in pool.filepath] or pools

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
        self._hold(rows)

    def _hold(self, rows: Vectors) -> None:
        self._vectors = rows
        with warnings.catch_warnings():  # the rows may be read-only, and are only ever read
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            self._tensor = torch.from_numpy(rows)

    def _search(self, rows: Vectors, k: int) -> tuple[NDArray[Any], NDArray[Any]]:
        similarities = np.empty((len(rows), k), np.float32)
        ids = np.empty((len(rows), k), np.int64)
        step = max(1, _CELLS // self.size)
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            for row, products in enumerate(self._products(part), start):
                similarities[row], ids[row] = self._best(rows[row], products, k)
        return similarities, ids

    def nearest(self, row: Vectors, k: int) -> tuple[list[float], list[int]]:
        """As the base class says, without scoring again unless there is a choice to make."""
        products = self._product(row[0])
        if k == self.size:
            return products.tolist(), list(range(k))
        # Torch's top-k: two to five times as fast as numpy's partition over more than 500 entries,
        # and always so where a forward has just filled the caches.
        best, ids = torch.from_numpy(products).topk(k + 1)
        *cosines, left_out = best.tolist()
        if left_out >= cosines[-1] - _ROUNDING:
            again, nearest = self._best(row[0], products, k)
            return again.tolist(), nearest.tolist()
        return cosines, ids.tolist()[:k]

    def _products(self, rows: Vectors) -> Vectors:
        """Cosines [q, n] of unit queries [q, d] with all entries, up to rounding."""
        if len(rows) == 1:
            return self._product(rows[0])[None]
        threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
        torch.set_num_threads(self.threads)
        torch.set_float32_matmul_precision("highest")
        try:  # whatever the caller's forward runs under, exact stays exact
            with torch.autocast("cpu", enabled=False):
                products: Vectors = (torch.tensor(rows) @ self._tensor.T).numpy()
        finally:
            torch.set_num_threads(threads)
            torch.set_float32_matmul_precision(precision)
        return products

    def _product(self, row: Vectors) -> Vectors:
        """Cosines [n] of one unit query [d] with all entries, up to rounding, by one thread.

        Asking numpy's pools how wide they are costs 0.3 us, threadpoolctl's limit() 10 us.
        """
        wide = [pool for pool in self._blas if pool.get_num_threads() != 1]
        before = [pool.get_num_threads() for pool in wide]
        for pool in wide:
            pool.set_num_threads(1)
        try:
            product: Vectors = self._vectors.dot(row)
        finally:
            for pool, threads in zip(wide, before, strict=True):
                pool.set_num_threads(threads)
        return product

    def _best(self, query: Vectors, products: Vectors, k: int) -> tuple[Vectors, Ids]:
        """The k nearest of all entries, descending, among equal ones those of the lowest id."""
        ids = np.flatnonzero(products >= np.float32(_kth(products, k) - _ROUNDING))
        cosines = np.empty(len(ids), np.float32)
        step = max(1, _CELLS // self.dim)
        for start in range(0, len(ids), step):
            part = slice(start, start + step)
            np.vecdot(self._vectors.take(ids[part], axis=0), query, out=cosines[part])
        order = (-cosines).argsort(kind="stable")[:k]
        return cosines[order], ids[order]

    def _save(self, path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, self._vectors)

    def _load(self, path: Path) -> None:
        vectors = np.load(path, mmap_mode="r")
        if vectors.shape != (self.size, self.dim) or vectors.dtype != np.float32:
            raise ValueError(f"{vectors.dtype} of shape {vectors.shape}")
        self._hold(vectors)


def _kth(products: Vectors, k: int) -> float:
    """A number that at least k of ``products`` [n] reach, and not many more.

    The k-th largest of the maxima of sqrt(n) groups: one pass, where a partition of everything
    takes four times as long at n = 400,000.
    """
    n = len(products)
    groups = max(4 * k, int(n**0.5))
    if groups >= n:
        return float(np.partition(products, n - k)[n - k])
    maxima = np.maximum.reduce(products[: n // groups * groups].reshape(-1, groups), axis=0)
    return float(np.partition(maxima, groups - k)[groups - k])
