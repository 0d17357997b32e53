"""voyager: an HNSW graph over vectors in 32 or 8 bits per component."""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from voyager import Index, RecallError, Space, StorageDataType

from reaugkd.retrieval.ann.graph import HNSW, reachable
from reaugkd.retrieval.ann.index import Ids
from reaugkd.retrieval.normalise import Vectors


class Storage(NamedTuple):
    """A number type of voyager and the largest component that is put into it, None for any."""

    kind: StorageDataType
    largest: float | None


STORAGE = {
    "f32": Storage(StorageDataType.Float32, None),
    "e4m3": Storage(StorageDataType.E4M3, 240.0),
    "i8": Storage(StorageDataType.Float8, 126.0 / 127.0),
}

_BLOCK = 1024
"""Rows that are scaled or copied at a time while building: no second copy of all is made."""


class Voyager(HNSW):
    """HNSW by voyager, whose layers ``seed`` draws. Its effort is ``query_ef``.

    Unit vectors of many components would use a few levels of an 8-bit number, so these types are
    given scaled vectors, by Euclidean distance: |sa - tb|^2 = s^2 + t^2 - 2 st cos. ``i8`` stays
    within 2e-2 of the true cosines, ``e4m3`` (four bits of exponent, three of fraction) within
    5e-2.
    """

    name: ClassVar[str] = "voyager"
    version: ClassVar[str] = version("voyager")

    types = STORAGE
    setting = "storage"

    def __init__(self, *, storage: str = "f32", **shared: Any) -> None:
        super().__init__(**shared)
        self.storage = self.offered(storage)
        self._scale = 1.0

    def params(self) -> dict[str, Any]:
        """The number type beside the shared ones."""
        return {"storage": self.storage, **super().params()}

    @property
    def nbytes(self) -> int:
        """Vector, links 8 M + 4 and label 8 an element, and 88 as in hnswlib, its origin.

        On average 1 / (M - 1) upper layers of 4 M + 4 bytes come on top.
        """
        width = 4 if self.storage == "f32" else 1
        upper = (4 * self.m + 4) / max(1, self.m - 1)
        return round(self.size * (width * self.dim + 8 * self.m + 12 + 88 + upper))

    def _build(self, rows: Vectors) -> None:
        kind, largest = STORAGE[self.storage]
        space = Space.Cosine if largest is None else Space.Euclidean
        self._scale = 1.0 if largest is None else _power(largest / _largest(rows))
        self._graph = Index(
            space,
            num_dimensions=self.dim,
            M=self.m,
            ef_construction=self.ef_construction,
            random_seed=self.seed,
            max_elements=len(rows),
            storage_data_type=kind,
        )
        for start in range(0, len(rows), _BLOCK):
            part = rows[start : start + _BLOCK]
            part = _writable(part) if largest is None else self._rounded(part * self._scale)
            self._graph.add_items(part, num_threads=self.build_threads)

    def nearest(self, row: Vectors, k: int) -> tuple[list[float], list[int]]:
        """As the base class says; full vectors need no scale, and one query is asked as a row."""
        if STORAGE[self.storage].largest is not None or not row.flags.writeable:
            return super().nearest(row, k)
        try:
            labels, distances = self._graph.query(row[0], k, 1, max(self.effort or k, k))
        except RecallError:
            return super().nearest(row, k)
        return [1.0 - distance for distance in distances.tolist()], labels.tolist()

    def _rounded(self, scaled: Vectors) -> Vectors:
        return toward_whole(scaled) if self.storage == "i8" else scaled

    def _search(self, rows: Vectors, k: int) -> tuple[NDArray[Any], NDArray[Any]]:
        largest = STORAGE[self.storage].largest
        if largest is None:
            distances, ids = self._ask(_writable(rows), k)
            return np.subtract(1.0, distances, out=distances), ids
        # A scale per query: its own largest component need not be within the vectors' range.
        scale = largest / np.abs(rows).max(axis=1, keepdims=True)
        distances, ids = self._ask(self._rounded(rows * scale), k)
        twice = (scale**2 + np.float32(self._scale**2)) - distances
        return twice / (scale * np.float32(2.0 * self._scale)), ids

    def _ask(self, rows: Vectors, k: int) -> tuple[Vectors, Ids]:
        effort = max(self.effort or k, k)
        try:
            labels, distances = self._graph.query(
                rows, k, 1 if len(rows) == 1 else self.threads, effort
            )
        except RecallError:
            return reachable(
                lambda row, fewer: self._graph.query(row, fewer, 1, effort), rows, k, RecallError
            )
        return distances, labels.view(np.int64)

    def _save(self, path: Path) -> None:
        self._graph.save(str(path))

    def _load(self, path: Path) -> None:
        self._graph = Index.load(str(path))
        if len(self._graph) != self.size or self._graph.num_dimensions != self.dim:
            raise ValueError(f"{len(self._graph)} vectors of width {self._graph.num_dimensions}")
        if self.storage != "f32":
            self._scale = _power(float(np.linalg.norm(self._graph.get_vector(0))), nearest=True)


def _writable(rows: Vectors) -> Vectors:
    """The rows, or a copy of read-only ones (a mapped file), which voyager does not take."""
    return rows if rows.flags.writeable else rows.copy()


def toward_whole(scaled: Vectors) -> Vectors:
    """Components rounded to multiples of 1 / 127, and a quarter of one further from 0.

    voyager cuts x 127 to a whole number; the quarter keeps it from cutting one too much.
    """
    whole: Vectors = np.rint(scaled * np.float32(127.0))
    whole += np.copysign(np.float32(0.25), whole)
    whole /= np.float32(127.0)
    return whole


def _largest(rows: Vectors) -> float:
    def of_blocks() -> Iterator[float]:
        for start in range(0, len(rows), _BLOCK):
            yield float(np.abs(rows[start : start + _BLOCK]).max())

    return max(of_blocks())


def _power(scale: float, *, nearest: bool = False) -> float:
    """The scale on the ladder 2^(j / 4) below ``scale``, or nearest to it.

    The file keeps no scale, but the length of a stored vector is the scale up to rounding, so the
    nearest step of the ladder to that length is it exactly.

    >>> _power(3.1), _power(2.79, nearest=True)
    (2.8284271247461903, 2.8284271247461903)
    """
    step = 4.0 * math.log2(scale)
    whole = round(step) if nearest else math.floor(step)
    return float(2.0 ** (whole / 4.0))
