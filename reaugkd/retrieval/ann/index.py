"""The contract of an approximate nearest neighbour index, and what every backend shares."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reaugkd.artifacts import sealed
from reaugkd.errors import EmbeddingError, UserError
from reaugkd.retrieval.normalise import Vectors, unit_queries, unit_rows

MISSING = -1  # id of an answer that does not exist (fewer than k entries); its similarity is -inf
PAYLOAD = "index.bin"
"""The library's own file inside a saved index; ``index.json`` beside it is the manifest."""

Ids = NDArray[np.int64]


class AnnIndex(ABC):
    """Nearest neighbours by cosine similarity over a fixed set of vectors.

    Args:
        threads: threads one search may use (explicit, never the library's default).
        seed: of whatever is random in the build.
        build_threads: threads of the build. With more than one the graph depends on their timing
            and differs from run to run.

    Attributes:
        name, version: the registered name, and the library's version for records.
        instant: whether building costs nothing, so that storing the index would be a waste.
        normalises: whether :meth:`nearest` takes a query of any length, because the library divides
            by its norm itself; it answers 0 or NaN where there is no direction.
        effort: the backend's own search knob (``ef``, ``nprobe``, ``search_k``), or None where
            there is none (exact search) or for the library's default.
        size, dim: number and width of the indexed vectors, 0 before the build.
        base: checksum of the knowledge base that a loaded index was saved for, None if unknown.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    instant: ClassVar[bool] = False
    normalises: bool = False

    def __init__(self, *, threads: int = 1, seed: int = 0, build_threads: int = 1) -> None:
        if threads < 1 or build_threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads} and {build_threads}")
        self.threads = threads
        self.seed = seed
        self.build_threads = build_threads
        self.effort: int | None = None
        self.size = 0
        self.dim = 0
        self.base: str | None = None

    @classmethod
    def settings_of(cls, variant: str) -> dict[str, Any]:
        """Constructor settings that the part of a spec after the colon stands for."""
        raise UserError(f"{cls.name} has no variants: '{cls.name}:{variant}'")

    def params(self) -> dict[str, Any]:
        """What decides the index beside the vectors: keyword arguments of the constructor."""
        return {"seed": self.seed, "build_threads": self.build_threads}

    def check(self, dim: int) -> None:  # noqa: B027  most backends take any width
        """Raise :class:`UserError` if vectors of width ``dim`` cannot be indexed; cheap."""

    def build(self, vectors: ArrayLike) -> None:
        """Index the rows of ``vectors`` [n, d]; row number = id.

        Unit rows in C-contiguous float32 are used as they are, others are normalised. An
        EmbeddingError tells that there are no rows, or names the first without a direction.
        """
        rows = unit_rows(vectors)
        if not len(rows):
            raise EmbeddingError("there are no vectors to index")
        self.size, self.dim = 0, rows.shape[1]  # not searchable should the build fail
        self._build(rows)
        self.size = len(rows)

    def search(self, queries: ArrayLike, k: int) -> tuple[Vectors, Ids]:
        """The k nearest entries of each query [q, d]; queries are normalised too.

        Returns similarities [q, k] float32, cosine in [-1, 1], descending (equal ones by id), -inf
        where missing, and ids [q, k] int64, :data:`MISSING` where there are fewer than k answers.
        An EmbeddingError tells of another width, or names the first query without a direction.
        """
        if not self.size:
            raise RuntimeError(f"this {self.name} index is empty: build or load it first")
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        rows = unit_queries(queries)
        if rows.shape[1] != self.dim:
            raise EmbeddingError(f"queries are {rows.shape[1]} wide, the index is {self.dim}")
        answers = min(k, self.size)
        if not len(rows):
            return np.empty((0, k), np.float32), np.empty((0, k), np.int64)
        similarities, ids = _in_order(*self._search(rows, answers))
        if answers < k:
            padding = ((0, 0), (0, k - answers))
            similarities = np.pad(similarities, padding, constant_values=-np.inf)
            ids = np.pad(ids, padding, constant_values=MISSING)
        return similarities, ids

    def nearest(self, row: Vectors, k: int) -> tuple[list[float], list[int]]:
        """What the library answers to one query [1, d], for those who check it themselves.

        The query has length 1 unless :attr:`normalises`. Nothing is checked or put in order:
        cosines may pass 1 by their rounding, negative ids are missing, ``1 <= k <= size``. A
        handful of numbers is handled faster so than in arrays.
        """
        similarities, ids = self._search(row, k)
        return similarities.tolist()[0], ids.tolist()[0]

    def efforts(self, k: int) -> list[int]:
        """Increasing search efforts worth trying for k answers, the last one being full effort."""
        return []

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes the index holds in memory for vectors and graph, by the library's formula."""

    def save(self, path: Path, *, base: str | None = None) -> None:
        """Write the index and its manifest into the folder ``path``.

        ``base`` is the checksum of the knowledge base whose keys were indexed, if there is one.
        """
        if not self.size:
            raise RuntimeError(f"this {self.name} index is empty: build or load it first")
        manifest = {
            "index": self.name,
            "version": self.version,
            "params": self.params(),
            "effort": self.effort,
            "size": self.size,
            "dim": self.dim,
            "base": base,
        }
        sealed.write(path, PAYLOAD, manifest, self._save)

    @classmethod
    def load(cls, path: Path, *, threads: int = 1) -> Self:
        """Read what :meth:`save` wrote; the index gives the same answers.

        A UserError names a path that is missing, damaged or another backend's.
        """
        payload, manifest = sealed.read(path, PAYLOAD)
        if manifest.get("index") != cls.name:
            raise UserError(f"{path} holds an index of {manifest.get('index')}, not {cls.name}")
        try:
            index = cls(threads=threads, **manifest["params"])
            index.effort = manifest["effort"]
            index.size, index.dim = int(manifest["size"]), int(manifest["dim"])
            index.base = manifest.get("base")
            index._load(payload)
        except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} holds no index that {cls.name} can read: {error}") from error
        return index

    @abstractmethod
    def _build(self, rows: Vectors) -> None:
        """Index unit rows [n, d]; ``dim`` is set."""

    @abstractmethod
    def _search(self, rows: Vectors, k: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Cosines and ids [q, k] of unit queries, any order and number type, negative ids missing.

        ``1 <= k <= size`` and ``q >= 1`` hold.
        """

    @abstractmethod
    def _save(self, path: Path) -> None:
        """Write the library's own file."""

    @abstractmethod
    def _load(self, path: Path) -> None:
        """Read the library's own file; ``size`` and ``dim`` are set."""


def _in_order(similarities: NDArray[Any], ids: NDArray[Any]) -> tuple[Vectors, Ids]:
    """Clip to [-1, 1], mark what is missing and sort: descending, equal similarities by id.

    Libraries nearly always answer so already. Seeing that takes a microsecond or two, the work
    itself ten times as long, so it is looked at first.
    """
    cosines: Vectors = similarities.astype(np.float32, copy=False)
    rows: Ids = ids.astype(np.int64, copy=False)
    # argmin and argmax, as min and max pass through a slow wrapper; NaN fails the comparisons.
    complete = rows.item(rows.argmin()) >= 0
    within = cosines.item(cosines.argmax()) <= 1.0 and cosines.item(cosines.argmin()) >= -1.0
    if complete and within and _descends(cosines):
        return cosines, rows
    cosines = np.clip(cosines, -1.0, 1.0)
    if not complete:
        absent = rows < 0
        cosines = np.where(absent, np.float32(-np.inf), cosines)
        rows = np.where(absent, MISSING, rows)
    if not _descends(cosines):
        order = np.lexsort((rows, -cosines), axis=-1)
        cosines = np.take_along_axis(cosines, order, axis=1)
        rows = np.take_along_axis(rows, order, axis=1)
    return cosines, rows


def _descends(cosines: Vectors) -> bool:
    """Whether every row falls strictly, so that no two entries are in question."""
    falls = cosines[:, :-1] > cosines[:, 1:]
    return bool(np.count_nonzero(falls) == falls.size)


def ladder(first: int, last: int, factor: float = 1.5) -> list[int]:
    """Whole numbers from ``first`` to ``last``, each about ``factor`` times the one before.

    >>> ladder(10, 60)
    [10, 15, 23, 35, 53, 60]
    >>> ladder(10, 3)
    [3]
    """
    steps = [min(first, last)]
    while steps[-1] < last:
        steps.append(min(last, max(steps[-1] + 1, round(steps[-1] * factor + 0.01))))
    return steps
