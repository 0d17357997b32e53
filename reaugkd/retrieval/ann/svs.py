"""svs (package scalable-vs): a Vamana graph over compressed vectors; on x86-64 only.

Its compression (LVQ) runs on Intel processors only; elsewhere the library ends the whole process.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np
import svs
from numpy.typing import NDArray

from reaugkd import processor
from reaugkd.errors import WrongMachineError
from reaugkd.retrieval.ann.graph import Graph
from reaugkd.retrieval.ann.index import MISSING
from reaugkd.retrieval.normalise import Vectors

BITS: dict[str, tuple[int, int] | None] = {
    "lvq8": (8, 0),
    "lvq4x8": (4, 8),
    "lvq8x8": (8, 8),
    "f32": None,
}
"""Bits per component by which the graph is walked, and of what they leave out."""

PARTS = ("config", "graph", "data")
"""The folders that svs writes, packed into the one file of a saved index."""

_BLOCK = 8192  # rows that are written at a time on their way into svs


class Svs(Graph):
    """Vamana with locally adaptive quantisation. Its effort is ``search_window_size``.

    ``lvq8`` takes a quarter of the memory of f32 and its cosines are within 1e-2 of the true ones
    (at 768 dimensions 2e-3); ``lvq4x8`` takes three eighths and is within 1e-3, ``lvq8x8`` half
    and within 1e-4. A WrongMachineError refuses these schemes on a processor that is not Intel's.

    The graph has one entrance and a limited number of links. Where more entries than ``degree``
    are equal, they link to each other only and the rest may be out of reach: recall tells. A
    ``window`` of 200 while building finds no more here, in 2.4 times the time. Nothing is random.
    """

    name: ClassVar[str] = "svs"
    version: ClassVar[str] = version("scalable-vs")

    types = BITS
    setting = noun = "scheme"

    def __init__(
        self, *, scheme: str = "lvq8", degree: int = 32, window: int = 100, **shared: Any
    ) -> None:
        super().__init__(**shared)
        self.scheme = self.offered(scheme)
        if BITS[self.scheme] is not None and processor.vendor() != processor.INTEL:
            raise WrongMachineError(
                f"svs:{self.scheme} runs on Intel processors only, this one is "
                f"{processor.vendor() or 'unknown'}: use svs:f32 or another backend"
            )
        self.degree, self.window = degree, window
        self._applied = (0, 0)  # the effort and the threads that the graph was last told

    def params(self) -> dict[str, Any]:
        """The scheme, the degree and the window of the build beside the shared ones."""
        storage = {"scheme": self.scheme, "degree": self.degree, "window": self.window}
        return {**storage, **super().params()}

    @property
    def nbytes(self) -> int:
        """Links, 4 (degree + 1) an element, and its codes; 8 more for its scale and offset.

        Codes of 4 bits come in blocks of 128. The mean, in float32, is held beside them.
        """
        bits = BITS[self.scheme]
        if bits is None:
            return self.size * 4 * (self.degree + 1 + self.dim)
        first, rest = bits
        codes = (
            self.dim * (first + rest) // 8 if first == 8 else -(-self.dim // 128) * 64 + self.dim
        )
        return self.size * (4 * (self.degree + 1) + codes + 8) + 4 * self.dim

    def _build(self, rows: Vectors) -> None:
        parameters = svs.VamanaBuildParameters(
            alpha=0.95,  # the library's own for inner products
            graph_max_degree=self.degree,
            window_size=self.window,
        )
        with self._source(rows) as source:
            self._graph = svs.Vamana.build(
                parameters, source, svs.DistanceType.MIP, num_threads=self.build_threads
            )
        self._applied = (0, 0)

    @contextmanager
    def _source(self, rows: Vectors) -> Iterator[Any]:
        """The vectors in the form svs builds from: it compresses files only."""
        bits = BITS[self.scheme]
        if bits is None:
            yield rows
            return
        with TemporaryDirectory(prefix="reaugkd-svs-") as folder:
            path = Path(folder) / "vectors.fvecs"
            with path.open("wb") as file:
                for start in range(0, len(rows), _BLOCK):
                    part = rows[start : start + _BLOCK]
                    block = np.empty((len(part), self.dim + 1), np.float32)
                    block[:, 0] = np.array(self.dim, np.int32).view(np.float32)
                    block[:, 1:] = part
                    block.tofile(file)
            yield svs.LVQLoader(svs.VectorDataLoader(str(path), svs.DataType.float32), *bits)

    def _search(self, rows: Vectors, k: int) -> tuple[NDArray[Any], NDArray[Any]]:
        self._apply(k, 1 if len(rows) == 1 else self.threads)
        labels, similarities = self._graph.search(rows, k)
        ids = labels.view(np.int64)
        if np.count_nonzero(ids[:, -1]) < len(ids):
            ids[_padding(similarities, ids)] = MISSING
        return similarities, ids

    def nearest(self, row: Vectors, k: int) -> tuple[list[float], list[int]]:
        """As the base class says; where entry 0 comes last it may be padding: looked at in full."""
        self._apply(k, 1)
        labels, similarities = self._graph.search(row, k)
        ids = labels.tolist()[0]
        return (similarities.tolist()[0], ids) if ids[-1] else super().nearest(row, k)

    def _apply(self, k: int, threads: int) -> None:
        wanted = (max(self.effort or k, k), threads)
        if wanted != self._applied:
            self._graph.search_window_size, self._graph.num_threads = wanted
            self._applied = wanted

    def _save(self, path: Path) -> None:
        with TemporaryDirectory(prefix=".svs-", dir=path.parent) as folder:
            self._graph.save(*(str(Path(folder) / part) for part in PARTS))
            with tarfile.open(path, "w") as packed:
                for file in sorted(Path(folder).glob("*/*")):
                    packed.add(file, str(file.relative_to(folder)), filter=_anonymous)

    def _load(self, path: Path) -> None:
        with TemporaryDirectory(prefix="reaugkd-svs-") as folder:
            _unpack(path, Path(folder))
            config, graph, data = (str(Path(folder) / part) for part in PARTS)
            if BITS[self.scheme] is None:
                source = svs.VectorDataLoader(data, svs.DataType.float32)
            else:
                source = svs.LVQLoader(data)
            self._graph = svs.Vamana(
                config,
                svs.GraphLoader(graph),
                source,
                distance=svs.DistanceType.MIP,
                num_threads=self.threads,
            )
        self._applied = (0, 0)


def _padding(similarities: Vectors, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where a row ends because nothing more was in reach: svs fills up with entry 0, cosine 0.

    >>> _padding(np.array([[0.9, 0.2, 0, 0]], np.float32), np.array([[0, 3, 0, 0]]))
    array([[False, False,  True,  True]])
    """
    empty = (ids == 0) & (similarities == 0.0)
    tail: NDArray[np.bool_] = np.logical_and.accumulate(empty[:, ::-1], axis=1)[:, ::-1]
    return tail


def _unpack(path: Path, folder: Path) -> None:
    """Write the files of the parts below ``folder``; a ValueError tells of anything else.

    By hand: ``extractall(filter="data")`` is not in the first releases of Python 3.11.
    """
    with tarfile.open(path) as packed:
        for member in packed:
            part, _, name = member.name.partition("/")
            content = packed.extractfile(member)
            if part not in PARTS or Path(name).name != name or content is None:
                raise ValueError(f"{member.name!r} is no file of an index")
            (folder / part).mkdir(exist_ok=True)
            with content, (folder / part / name).open("wb") as file:
                shutil.copyfileobj(content, file)


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Nobody's and of no time, so that the archive says nothing but its content."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    return entry
