"""usearch: an HNSW graph over vectors of a chosen number type."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

# usearch's wheel carries a C++ library of its own. Loaded before the system's it takes the place
# of parts of it, and faiss crashes in its factory; torch brings the system's.
import torch  # noqa: F401
from numpy.typing import NDArray
from usearch.index import Index

from reaugkd.retrieval.ann.graph import HNSW, require_bytes
from reaugkd.retrieval.ann.index import MISSING
from reaugkd.retrieval.normalise import Vectors

METRICS = {"f32": "ip", "f16": "ip", "bf16": "ip", "i8": "cos"}
"""Distance by number type. Rounding to 8 bits changes lengths, so there the norms count too."""

_BLOCK = 8192
"""Rows that are rounded at a time while building, so that no second copy of them is made."""


class Usearch(HNSW):
    """HNSW by usearch, whose layers come from a fixed seed. Its effort is ``expansion_search``.

    The default type, f16, takes half the memory of f32 at the same recall; its cosines are within
    1e-3 of the true ones (at 768 dimensions 1e-4). i8 takes a quarter and stays within 1e-2: each
    vector is scaled by its own largest component, where usearch would round unit vectors of 768
    components to a handful of levels. bf16 (within 1e-2) is the fastest where the processor has
    it.
    """

    name: ClassVar[str] = "usearch"
    version: ClassVar[str] = version("usearch")

    types = METRICS
    setting = "scalar"

    def __init__(self, *, scalar: str = "f16", **shared: Any) -> None:
        super().__init__(**shared)
        self.scalar = self.offered(scalar)
        self._applied = 0  # the effort that the graph was last told

    def params(self) -> dict[str, Any]:
        """The number type beside the shared ones."""
        return {"scalar": self.scalar, **super().params()}

    @property
    def nbytes(self) -> int:
        """The file's bytes (vectors, links, keys, levels) and a pointer for each element."""
        return int(self._graph.serialized_length) + 8 * self.size

    def _empty(self) -> Index:
        self._applied = 0
        return Index(
            ndim=self.dim,
            metric=METRICS[self.scalar],
            dtype=self.scalar,
            connectivity=self.m,
            expansion_add=self.ef_construction,
            enable_key_lookups=False,  # a table that only deletions need
        )

    def _build(self, rows: Vectors) -> None:
        self._graph = self._empty()
        # One call for all rows unless they are rounded here, block by block.
        step = _BLOCK if self.scalar == "i8" else len(rows)
        for start in range(0, len(rows), step):
            part = self._stored(rows[start : start + step])
            keys = np.arange(start, start + len(part), dtype=np.uint64)
            self._graph.add(keys, part, threads=self.build_threads)

    def _stored(self, rows: Vectors) -> NDArray[Any]:
        """Rows as usearch takes them: it converts to floating point types itself."""
        return bytes_of(rows) if self.scalar == "i8" else rows

    def _search(self, rows: Vectors, k: int) -> tuple[NDArray[Any], NDArray[Any]]:
        self._apply(k)
        asked = self._stored(rows)
        if len(rows) == 1:
            match = self._graph.search(asked, k, threads=1)
            distances, ids = match.distances[None], match.keys[None].view(np.int64)
            if len(match) < k:  # no way in the graph to more of them
                absent = ((0, 0), (0, k - len(match)))
                distances = np.pad(distances, absent)
                ids = np.pad(ids, absent, constant_values=MISSING)
        else:
            matches = self._graph.search(asked, k, threads=self.threads)
            distances, ids = matches.distances, matches.keys.view(np.int64)
            if matches.counts.min() < k:
                absent = np.arange(k) >= matches.counts[:, None]
                distances[absent], ids[absent] = 0.0, MISSING
        return np.subtract(1.0, distances), ids

    def nearest(self, row: Vectors, k: int) -> tuple[list[float], list[int]]:
        """As the base class says; fewer than k where usearch reaches fewer."""
        self._apply(k)
        match = self._graph.search(self._stored(row)[0], k, threads=1)
        return [1.0 - distance for distance in match.distances.tolist()], match.keys.tolist()

    def _apply(self, k: int) -> None:
        effort = max(self.effort or k, k)
        if effort != self._applied:
            self._graph.expansion_search = self._applied = effort

    def _save(self, path: Path) -> None:
        self._graph.save(str(path))
        require_bytes(path, int(self._graph.serialized_length))

    def _load(self, path: Path) -> None:
        self._graph = self._empty()
        self._graph.load(str(path))


def bytes_of(rows: Vectors) -> NDArray[np.int8]:
    """Rows [n, d] as integers from -127 to 127, each scaled by its largest component.

    >>> bytes_of(np.array([[0.3, -0.6, 0.0]], np.float32))
    array([[  64, -127,    0]], dtype=int8)
    """
    scaled = rows * (np.float32(127.0) / np.abs(rows).max(axis=1, keepdims=True))
    whole: NDArray[np.int8] = np.rint(scaled, out=scaled).astype(np.int8)
    return whole
