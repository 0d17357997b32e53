"""Indexes of a measured knowledge base: built once per (vectors, backend), tuned once per target.

Building and tuning are artefacts of the cache, so that a cell starts with a finished index and a
table of a hundred cells builds each of them once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from bench.measure.bases import BaseSource
from bench.records.measurement import IndexFacts
from reaugkd.artifacts import sealed
from reaugkd.artifacts.store import ArtifactStore, write_json
from reaugkd.errors import UserError
from reaugkd.reporter import Reporter, Silent
from reaugkd.retrieval import ann, mixing
from reaugkd.retrieval.ann.index import PAYLOAD, AnnIndex
from reaugkd.retrieval.knowledge_base import KnowledgeBase, checksum
from reaugkd.retrieval.normalise import Vectors
from reaugkd.retrieval.tuning import recall_at_k, sensible_efforts

if TYPE_CHECKING:
    from reaugkd.retrieval.ann.exact import Exact

MOST = 32
"""Neighbours of the exact answers that are kept; a larger k asks for its own."""

TUNING = 1
"""Raised when the rule would find another effort for the same index."""

_TRUTH = "truth.safetensors"


class Target(NamedTuple):
    """What the search effort is raised to: at least a share, in comparison with exact retrieval.

    ``recall`` is of the neighbours, ``agreement`` of the final class (for a regression: of the
    score, to a tenth of the standard deviation of exact retrieval's scores).
    """

    of: Literal["recall", "agreement"]
    least: float

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read ``recall:0.99`` or ``agreement:0.995``.

        >>> Target.parse("recall:0.99")
        Target(of='recall', least=0.99)

        Raises:
            UserError: for anything else.
        """
        name, _, number = text.partition(":")
        try:
            least = float(number)
        except ValueError:
            least = 0.0
        if name not in ("recall", "agreement") or not 0 < least <= 1:
            raise UserError(f"target '{text}': expected recall:0.99 or agreement:0.995")
        return cls("recall" if name == "recall" else "agreement", least)

    def __str__(self) -> str:
        return f"{self.of} {self.least:g}"


class Mixture(NamedTuple):
    """The setting of a cell: neighbours, temperature of their weights, their share."""

    k: int
    tau: float
    beta: float


@dataclass(frozen=True)
class Built:
    """A finished index on disk, or one that is built from the keys at once (no folder)."""

    spec: str
    folder: Path | None
    key: str
    seconds: float = 0.0
    threads: int = 1
    load: tuple[float, ...] = ()

    @property
    def graph(self) -> str | None:
        """Checksum of the saved index: with several build threads no two are the same."""
        if self.folder is None:
            return None
        return str(sealed.peek(self.folder, PAYLOAD)["payload"]["sha256"])

    def open(self, keys: Vectors, threads: int) -> AnnIndex:
        """The index, searched with ``threads``."""
        if self.folder is not None:
            return ann.load(self.folder, threads=threads)
        index = ann.make(self.spec, threads=threads)
        index.build(keys)
        return index

    def on_disk(self, base: KnowledgeBase) -> int:
        """Bytes on disk of the saved index (else of the keys), and of what goes with it.

        A saved classifier also keeps the keys of a base whose index holds vectors of its own.
        """
        if self.folder is None:
            return base.keys.nbytes + besides(base)
        return sum(path.stat().st_size for path in self.folder.iterdir()) + besides(base)


def besides(base: KnowledgeBase) -> int:
    """Bytes of what every backend needs beside its index: all but the keys.

    Soft labels and ids, n (4 C + 8), or n (C + 8) with 8-bit values; counts, 8 n, and the basis of
    a PCA, 4 D d, where there are some.
    """
    return base.nbytes - base.keys.nbytes


def index_identity(spec: str, build_threads: int) -> dict[str, Any]:
    """What decides an index beside its vectors; nothing is built for it."""
    empty = ann.make(spec, build_threads=build_threads)
    return {"spec": spec, "params": empty.params(), "library": empty.version}


class Indexes:
    """The indexes of one source, kept in a store; the threads of a build decide a graph too."""

    def __init__(
        self,
        store: ArtifactStore,
        source: BaseSource,
        build_threads: int,
        reporter: Reporter | None = None,
    ) -> None:
        self._store, self.source, self.build_threads = store, source, build_threads
        self._reporter = reporter or Silent()

    @cached_property
    def base(self) -> KnowledgeBase:
        """The knowledge base; its arrays are memory-mapped."""
        return KnowledgeBase.load(self.source.folder)

    def built(self, spec: str) -> Built:
        """The index of ``spec``, from the cache or built now.

        Raises:
            UserError: if it cannot be built, e.g. for want of a library.
        """
        empty = ann.make(spec, build_threads=self.build_threads)
        empty.check(self.source.width)
        identity = {"base": dict(self.source.identity), **index_identity(spec, self.build_threads)}
        if empty.instant:
            return Built(spec, None, self._store.key("index", identity))

        def build(folder: Path) -> Mapping[str, Any]:
            index = ann.make(spec, build_threads=self.build_threads)
            name = f"{self.source.name}: building {spec} over {self.source.size:,} vectors"
            self._reporter.start(name, self.source.size, "vectors")
            try:
                load, began = os.getloadavg(), time.perf_counter()
                index.build(self.base.keys)
                seconds = time.perf_counter() - began
                self._reporter.advance(self.source.size)
                index.save(folder, base=checksum(self.source.folder))
            finally:
                self._reporter.finish()
            return {"seconds": seconds, "threads": self.build_threads, "load": list(load)}

        artifact = self._store.get("index", identity, build)
        return Built(spec, artifact.path, artifact.key, **artifact.facts)

    def tuned(self, spec: str, mixture: Mixture, target: Target, threads: int) -> IndexFacts:
        """The facts of ``spec`` with the least effort that reaches ``target`` on half the queries.

        The other half says how well it answers then.
        """
        built = self.built(spec)
        identity = {
            "index": built.key,
            "graph": built.graph,
            "rule": TUNING,
            "queries": [len(self.source.queries), mixture.k, mixture.tau, mixture.beta],
            "target": str(target),
        }

        def tune(folder: Path) -> Mapping[str, Any]:
            index = built.open(self.base.keys, threads)
            facts = self._tune(index, mixture, target)
            write_json(folder / "facts.json", facts)
            return facts

        facts = self._store.get("index-effort", identity, tune).facts
        return IndexFacts(
            key=built.key,
            spec=spec,
            target=str(target),
            build_seconds=built.seconds,
            build_threads=built.threads,
            build_load=list(built.load),
            **facts,
        )

    def _tune(self, index: AnnIndex, mixture: Mixture, target: Target) -> dict[str, Any]:
        half = len(self.source.queries) // 2
        tuning, held = slice(0, half), slice(half, None)
        name = f"{self.source.name}: tuning {index.name} to {target}"
        efforts = sensible_efforts(index, mixture.k)
        self._truth(mixture.k)  # a stage of its own
        self._reporter.start(name, len(efforts), "efforts")
        met = False
        for effort in efforts:
            index.effort = effort
            quality = self._quality(index, mixture, tuning)
            self._reporter.advance(1, quality)
            met = quality[target.of] >= target.least
            if met:
                break
        self._reporter.finish()
        quality = self._quality(index, mixture, held)
        return {
            "version": index.version,
            "params": index.params(),
            "effort": index.effort,
            "target_met": met,
            "queries": len(self.source.queries) - half,
            "nbytes": index.nbytes,
            **quality,
        }

    def _quality(self, index: AnnIndex, mixture: Mixture, part: slice) -> dict[str, float]:
        """How the answers to a part of the queries compare with those of exact retrieval."""
        student, base = self.source.student[part], self.base
        queries = base.queries(self.source.queries[part])
        best, nearest = (array[part, : mixture.k] for array in self._truth(mixture.k))
        similarities, ids = index.search(queries, mixture.k)
        reduction = self.source.reduction
        counts = base.counts if reduction is not None and reduction.weigh else None
        mixed, expected = (
            mixing.augment(
                student, cosines, rows, base.values, mixture.tau, mixture.beta, counts, base.span
            )
            for cosines, rows in ((similarities, ids), (best, nearest))
        )
        answered = expected.argmax(axis=1)
        if expected.shape[1] > 1:
            agrees = mixed.argmax(axis=1) == answered
        else:
            agrees = abs(mixed - expected) <= 0.1 * max(float(expected.std()), 1e-12)
        rows = np.arange(len(expected))
        return {
            # An index may hold rounded vectors: its answers count by their true similarities.
            "recall": recall_at_k(self._exact.similarities(queries, ids), best),
            "agreement": float(agrees.mean()),
            "drift": float(abs(mixed[rows, answered] - expected[rows, answered]).mean()),
        }

    @cached_property
    def _exact(self) -> Exact:
        from reaugkd.retrieval.ann.exact import Exact

        index = Exact(threads=self.build_threads)
        index.build(self.base.keys)
        return index

    def _truth(self, k: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Exact answers to all queries, at least k of them, kept in the cache."""
        most = min(max(MOST, k), self.source.size)
        identity = {"base": dict(self.source.identity), "k": most}

        def search(folder: Path) -> None:
            name = f"{self.source.name}: exact answers to {len(self.source.queries):,} queries"
            self._reporter.start(name, len(self.source.queries), "queries")
            queries = self.base.queries(self.source.queries)
            similarities, ids = self._exact.search(queries, most)
            save_file({"similarities": similarities, "ids": ids}, folder / _TRUTH)
            self._reporter.advance(len(self.source.queries))
            self._reporter.finish()

        arrays = load_file(self._store.get("exact-answers", identity, search).path / _TRUTH)
        return arrays["similarities"], arrays["ids"]
