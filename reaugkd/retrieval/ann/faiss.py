"""faiss: any index that its factory can make, over inner products of unit vectors."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import faiss
from numpy.typing import NDArray

from reaugkd.errors import UserError
from reaugkd.retrieval.ann.index import AnnIndex, ladder
from reaugkd.retrieval.normalise import Vectors

ALIASES = {"sq8": "HNSW16,SQ8", "sqfp16": "HNSW16,SQfp16", "pq": "PQ"}
"""Variants by a short name; ``PQ`` becomes a factory string by :func:`product_quantised`."""

REFINED = 8  # candidates per answer that a refinement computes once more from its better codes
_FEW = 1024  # with fewer vectors product quantisation is not worth its training
_PIECES = 96  # with fewer codes per vector too many of the nearest are not among the candidates


class Faiss(AnnIndex):
    """An index of faiss. Its effort is ``nprobe`` or ``efSearch``, or None where it has neither.

    Codes of 8 bits (``SQ8``) give cosines within 1e-2 of the true ones (at 768 dimensions 1e-3),
    ``SQfp16`` and ``PQ`` within 1e-3.

    Args:
        factory: an index factory string of faiss, e.g. ``"Flat"`` or ``"IVF64,Flat"``, or ``"PQ"``
            for what :func:`product_quantised` says.
        ef_construction: length of the candidate list while building, where there is a graph.
        threads, build_threads: of one search; of training and adding.
        seed: of an HNSW graph's layers and of the clustering behind an inverted file.
    """

    name: ClassVar[str] = "faiss"
    version: ClassVar[str] = faiss.__version__

    def __init__(
        self,
        *,
        factory: str = "HNSW16,Flat",
        ef_construction: int = 200,
        threads: int = 1,
        seed: int = 0,
        build_threads: int = 1,
    ) -> None:
        super().__init__(threads=threads, seed=seed, build_threads=build_threads)
        self.factory = factory
        self.ef_construction = ef_construction
        self._index: Any = None
        self._knob: str | None = None
        self._applied: int | None = None  # the effort that the index was last told

    @classmethod
    def settings_of(cls, variant: str) -> dict[str, Any]:
        """The variant is one of :data:`ALIASES` or else the factory string."""
        return {"factory": ALIASES.get(variant.lower(), variant)}

    def params(self) -> dict[str, Any]:
        """The factory string and efConstruction beside the shared ones."""
        variant = {"factory": self.factory, "ef_construction": self.ef_construction}
        return {**variant, **super().params()}

    def efforts(self, k: int) -> list[int]:
        """``nprobe`` from 1 to the number of lists, or ``efSearch`` from k to all elements."""
        if self._knob == "nprobe":
            return ladder(1, self._lists())
        return ladder(k, self.size) if self._knob else []

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays of the index: what faiss would write, counted without keeping it."""
        total = 0

        def count(piece: bytes) -> None:
            nonlocal total
            total += len(piece)

        writer = faiss.PyCallbackIOWriter(count)  # type: ignore[attr-defined]  # not in its stubs
        faiss.write_index(self._index, writer)
        del writer  # flushes its last, partly filled buffer
        return total

    def check(self, dim: int) -> None:
        """Raise UserError for a factory string that faiss cannot read, or not for this width."""
        self._empty(_FEW, dim)

    def _empty(self, size: int, dim: int) -> Any:
        factory = product_quantised(size, dim) if self.factory == "PQ" else self.factory
        try:
            index = faiss.index_factory(dim, factory, faiss.METRIC_INNER_PRODUCT)
        except RuntimeError as error:
            raise UserError(
                f"faiss cannot make '{self.factory}' for width {dim}: {_reason(error)}"
            ) from error
        if index.metric_type != faiss.METRIC_INNER_PRODUCT:  # HNSW over PQ ignores the wish
            raise UserError(f"faiss:{self.factory} compares by Euclidean distance only")
        if _centres(index):
            raise UserError(
                f"faiss:{self.factory} subtracts the mean (PCA), after which inner products "
                "are no cosines: use OPQ or RR instead"
            )
        return index

    def _build(self, rows: Vectors) -> None:
        index = self._empty(len(rows), self.dim)
        try:
            self._prepare(index)
            with _threads(self.build_threads):
                if not index.is_trained:
                    index.train(rows)
                index.add(rows)
        except RuntimeError as error:
            raise UserError(
                f"faiss cannot build '{self.factory}' over {len(rows)} vectors of width {self.dim}:"
                f" {_reason(error)}"
            ) from error
        self._adopt(index)

    def _prepare(self, index: Any) -> None:
        for part in _parts(index):
            if hasattr(part, "refine_index"):
                part.k_factor = REFINED
            if hasattr(part, "hnsw"):
                generator = faiss.RandomGenerator(self.seed)  # type: ignore[attr-defined]  # as above
                part.hnsw.rng = generator
                part.hnsw.efConstruction = self.ef_construction
            for clustering in (getattr(p, "cp", None) for p in (part, getattr(part, "pq", None))):
                if clustering is not None:
                    clustering.seed = self.seed
                    clustering.min_points_per_centroid = 1  # recall tells, not a warning

    def _adopt(self, index: Any) -> None:
        """Take a finished index and find its knob."""
        self._index, self._applied = index, None
        space = faiss.ParameterSpace()
        space.initialize(index)
        ranges = space.parameter_ranges
        names = [ranges.at(number).name for number in range(ranges.size())]
        self._knob = next((name for name in ("nprobe", "efSearch") if name in names), None)
        if self._knob is None:
            self.effort = None
        elif self.effort is None:
            self.effort = 64 if self._knob == "efSearch" else min(8, self._lists())

    def _lists(self) -> int:
        return next(int(part.nlist) for part in _parts(self._index) if hasattr(part, "nlist"))

    def _search(self, rows: Vectors, k: int) -> tuple[NDArray[Any], NDArray[Any]]:
        if self._knob and self.effort is not None and self.effort != self._applied:
            faiss.ParameterSpace().set_index_parameter(self._index, self._knob, self.effort)
            self._applied = self.effort
        threads = 1 if len(rows) == 1 else self.threads
        if faiss.omp_get_max_threads() == threads:
            return self._answer(rows, k)
        with _threads(threads):
            return self._answer(rows, k)

    def _answer(self, rows: Vectors, k: int) -> tuple[NDArray[Any], NDArray[Any]]:
        similarities, ids = self._index.search(rows, k)
        return similarities, ids

    def _save(self, path: Path) -> None:
        faiss.write_index(self._index, str(path))

    def _load(self, path: Path) -> None:
        self._adopt(faiss.read_index(str(path)))


def product_quantised(size: int, dim: int) -> str:
    """The factory string behind ``faiss:PQ`` for ``size`` vectors of width ``dim``.

    About sqrt(size) lists; 4 bits for every 4 components (fewer where that leaves under 96
    codes), which faiss scans in registers; and 16 bits per component, from which the best
    :data:`REFINED` k are computed again, as 8 bits are too few for a recall of 0.99. HNSW over
    product codes would compare by Euclidean distance only, and train for minutes. Fewer than
    1,024 vectors are scanned in 16 bits: there is nothing to train or to save.

    >>> product_quantised(392_702, 768)
    'IVF512,PQ192x4fs,Refine(SQfp16)'
    >>> product_quantised(635, 768)
    'SQfp16'
    """
    if size < _FEW:
        return "SQfp16"
    pieces = min(dim // width for width in (1, 2, 3, 4) if _splits(dim, width))
    return f"IVF{2 ** round(math.log2(size) / 2)},PQ{pieces}x4fs,Refine(SQfp16)"


def _splits(dim: int, width: int) -> bool:
    return width == 1 or (dim % width == 0 and dim // width >= _PIECES)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Set the thread count of faiss, one for the whole process, and put it back."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(number)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _parts(index: Any) -> Iterator[Any]:
    """The index and those it wraps: behind a transform, a refinement, as coarse quantiser."""
    yield index
    for name in ("index", "base_index", "quantizer"):
        inner = getattr(index, name, None)
        if inner is not None:
            yield from _parts(faiss.downcast_index(inner))


def _centres(index: Any) -> bool:
    """Whether a transform in front of the index subtracts a mean."""
    if not hasattr(index, "chain"):
        return False
    chain = (faiss.downcast_VectorTransform(index.chain.at(n)) for n in range(index.chain.size()))
    return any(hasattr(transform, "mean") for transform in chain)


def _reason(error: RuntimeError) -> str:
    """What a C++ exception of faiss says, without the place in faiss's source.

    >>> _reason(RuntimeError("Error in void f(int) at /a/index_factory.cpp:12: could not parse x"))
    'could not parse x'
    """
    return re.sub(r"^Error in .*? at \S+:\d+: ", "", str(error), flags=re.DOTALL)
