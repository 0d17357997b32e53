"""What backends that walk a graph share: number types, efforts, answers out of reach."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from reaugkd.errors import UnknownNameError
from reaugkd.retrieval.ann.index import MISSING, AnnIndex, ladder
from reaugkd.retrieval.normalise import Vectors


class Graph(AnnIndex):
    """A graph whose effort is the length of a candidate list, 64 at first.

    Attributes:
        types: the ways to store a vector, which are the variants of a spec; empty if there is one.
        setting: name of the constructor's parameter that takes one of them.
        noun: what such a way is called.
    """

    types: ClassVar[Collection[str]] = ()
    setting: ClassVar[str] = ""
    noun: ClassVar[str] = "number type"

    def __init__(self, **shared: Any) -> None:
        super().__init__(**shared)
        self.effort = 64
        self._graph: Any = None

    @classmethod
    def settings_of(cls, variant: str) -> dict[str, Any]:
        """The variant is the way to store a vector."""
        if not cls.types:
            return super().settings_of(variant)
        return {cls.setting: cls.offered(variant.lower())}

    @classmethod
    def offered(cls, kind: str) -> str:
        """``kind``, if it is one of :attr:`types`, or UnknownNameError with the nearest one."""
        if kind not in cls.types:
            raise UnknownNameError(f"{cls.noun} of {cls.name}", kind, cls.types)
        return kind

    def efforts(self, k: int) -> list[int]:
        """From k to the number of elements."""
        return ladder(k, self.size)


class HNSW(Graph):
    """A hierarchy of graphs of ``m`` links per element and layer (twice as many on the lowest).

    ``ef_construction`` is the length of the candidate list while building.
    """

    def __init__(self, *, m: int = 16, ef_construction: int = 200, **shared: Any) -> None:
        super().__init__(**shared)
        self.m, self.ef_construction = m, ef_construction

    def params(self) -> dict[str, Any]:
        """M and efConstruction beside the shared ones."""
        return {"m": self.m, "ef_construction": self.ef_construction, **super().params()}


def reachable(
    ask: Callable[[Vectors, int], tuple[Any, Any]], rows: Vectors, k: int, refusal: type[Exception]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """As many of the k answers as each query can reach: distances and ids [q, k].

    A sparse graph may have elements without a way to them; some libraries answer nothing at all
    where fewer than k can be reached. ``ask`` is (query [d], k) -> ids and distances, or raises
    ``refusal``.
    """
    distances, ids = np.zeros((len(rows), k), np.float32), np.full((len(rows), k), MISSING)
    for number, row in enumerate(rows):
        for fewer in range(k, 0, -1):
            try:
                ids[number, :fewer], distances[number, :fewer] = ask(row, fewer)
                break
            except refusal:
                continue
    return distances, ids


def require_bytes(path: Path, expected: int) -> None:
    """Raise :class:`OSError` unless ``path`` is whole: some libraries ignore a full disk."""
    if path.stat().st_size != expected:
        raise OSError(f"only {path.stat().st_size} of {expected} bytes were written")
