"""The contract of an approximate nearest neighbour index, and what every backend shares.

A backend implements the methods with a leading underscore; validation, types, padding and the
order of the answers live here, once, so that backends cannot differ in them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reaugkd.errors import EmbeddingError

MISSING = -1
"""Id of an answer that does not exist (fewer than k entries); its similarity is -inf."""

Vectors = NDArray[np.float32]
Ids = NDArray[np.int64]


class AnnIndex(ABC):
    """Nearest neighbours by cosine similarity over a fixed set of vectors.

    Attributes:
        name: the registered name, e.g. ``"hnswlib"``.
        threads: threads one search may use (explicit, never the library's default).
        effort: the backend's own search knob (``ef``, ``nprobe``, ``search_k``), or None where
            there is none (exact search).
        size, dim: number and width of the indexed vectors.
    """

    name: ClassVar[str]

    def __init__(self, *, threads: int = 1, seed: int = 0) -> None: ...

    def build(self, vectors: ArrayLike) -> None:
        """Index the rows of ``vectors`` [n, d]; row number = id."""

    def search(self, queries: ArrayLike, k: int) -> tuple[Vectors, Ids]:
        """The k nearest entries of each query [q, d].

        Returns:
            similarities [q, k] float32, cosine in [-1, 1], descending, -inf where missing;
            ids [q, k] int64, :data:`MISSING` where there are fewer than k answers.
        """

    def efforts(self, k: int) -> list[int]:
        """Increasing search efforts worth trying for k answers, the last one being full effort."""

    @property
    def nbytes(self) -> int:
        """Bytes the index holds in memory for vectors and graph, by the library's formula."""

    def save(self, path: Path) -> None: ...

    @classmethod
    def load(cls, path: Path, *, threads: int = 1) -> Self: ...
