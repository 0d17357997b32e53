"""Memory cells: one knowledge base in one backend, each read in a process of its own.

Four rulers, because none is right alone: the backend's formula, the bytes on disk (a lower bound of
what must be read), the growth of anonymous memory in a process that loads the saved index and
answers queries, and the peak on the way. Mapped file pages are told apart: they can be reclaimed.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import provenance
from bench.measure import bases
from bench.measure.bases import Source
from bench.measure.environment import variables
from bench.measure.indexes import Indexes, Mixture, Target
from bench.measure.memory_worker import BATCH, Job, Outcome, Saved
from bench.measure.process import Launcher
from bench.measure.record import SCHEMA, IndexFacts, MemoryRecord, MemoryResult, Status
from reaugkd import fingerprint
from reaugkd.artifacts import ArtifactStore
from reaugkd.errors import MissingLibraryError, UserError
from reaugkd.reporter import Reporter, Silent
from reaugkd.retrieval import ann
from reaugkd.retrieval.knowledge_base import KnowledgeBase

WORKER = Launcher.module("bench.measure.memory_worker")

SMALL = 1_000
"""Entries of the base that is served before the first reading."""


@dataclass(frozen=True)
class Done:
    """A cell that has just ended, as in :mod:`bench.measure.latency` without an estimate."""

    record: MemoryRecord
    reused: bool
    number: int
    total: int


def require_linux() -> None:
    """Raise :class:`UserError` where there is no /proc/self/status to read."""
    if sys.platform != "linux":
        raise UserError(f"bench memory reads /proc, which Linux has and {sys.platform} has not")


def besides(base: KnowledgeBase) -> int:
    """Bytes of what every backend needs beside its index: soft labels and ids, n (4 C + 8)."""
    return base.values.nbytes + base.ids.nbytes


def on_disk(base: KnowledgeBase, index: Path | None) -> int:
    """Bytes that serving needs on disk: the saved index (else the keys), soft labels, ids."""
    own = base.keys.nbytes if index is None else sum(p.stat().st_size for p in index.iterdir())
    return own + besides(base)


class Meter:
    """Measures the cells of one source.

    Args:
        store: where knowledge bases and indexes are kept.
        source: the knowledge base and its queries.
        threads: of a search.
        build_threads: of a build.
        command: the command line, for provenance.
        reporter: told of builds.
        launch: starts the measuring process.
    """

    def __init__(
        self,
        store: ArtifactStore,
        source: Source,
        *,
        threads: int,
        build_threads: int,
        command: str,
        reporter: Reporter | None = None,
        launch: Launcher = WORKER,
    ) -> None:
        self.store, self.source, self.threads = store, source, threads
        self.build_threads, self.command = build_threads, command
        self._reporter, self._launch = reporter or Silent(), launch
        self.indexes = Indexes(store, source, build_threads, reporter)

    def identity(self, spec: str, mixture: Mixture, target: Target) -> dict[str, Any]:
        """Everything that decides the figures of a cell; nothing is built for it."""
        try:
            empty = ann.make(spec, build_threads=self.build_threads)
            library = {"params": empty.params(), "version": empty.version}
        except MissingLibraryError:
            library = {}
        return {
            "kind": "memory",
            "schema": SCHEMA,
            "base": dict(self.source.identity),
            "spec": spec,
            "library": library,
            "mixture": [mixture.k, mixture.tau, mixture.beta],
            "target": str(target),
            "queries": [len(self.source.queries), BATCH],
            "threads": self.threads,
        }

    def measure(self, spec: str, mixture: Mixture, target: Target) -> MemoryRecord:
        """The record of a cell; one that cannot be measured says why."""
        load = os.getloadavg()
        facts: IndexFacts | None = None
        result: MemoryResult | None = None
        status: Status = "ok"
        reason: str | None = None
        try:
            facts = self.indexes.tuned(spec, mixture, target, self.threads)
            result = self._result(facts, mixture)
        except MissingLibraryError as error:
            status, reason = "skipped", str(error)
        except UserError as error:
            status, reason = "failed", str(error)
        identity = self.identity(spec, mixture, target)
        return MemoryRecord(
            key=fingerprint.of_json(identity),
            identity=identity,
            status=status,
            reason=reason,
            base=self.source.name,
            size=self.source.size,
            dim=self.source.dim,
            classes=self.source.classes,
            generated=self.source.generated,
            backend=spec,
            k=mixture.k,
            index=facts,
            result=result,
            provenance=provenance.collect(self.command, load, "cpu"),
        )

    def _result(self, facts: IndexFacts, mixture: Mixture) -> MemoryResult:
        built, base = self.indexes.built(facts.spec), self.indexes.base
        small = self._small(facts.spec, mixture.k)
        self._reporter.note(f"{self.source.name}: loading {facts.spec} in a process of its own")
        with tempfile.TemporaryDirectory(prefix="reaugkd-") as folder:
            queries = Path(folder, "queries.npz")
            np.savez(queries, queries=self.source.queries, student=self.source.student)
            job = Job(
                spec=facts.spec,
                small=small,
                measured=_saved(self.source.folder, built.folder),
                queries=os.fspath(queries),
                effort=facts.effort,
                k=mixture.k,
                tau=mixture.tau,
                beta=mixture.beta,
                threads=self.threads,
            )
            told = self._launch(job.model_dump_json(), variables(self.threads), "result.json")
        return MemoryResult(
            formula=facts.nbytes + besides(base),
            serialized=on_disk(base, built.folder),
            **Outcome.model_validate_json(told).model_dump(),
        )

    def _small(self, spec: str, k: int) -> Saved:
        """A base of the same width through the same backend, as small as the backend allows.

        Inverted files want as many vectors as they have lists.
        """
        size = max(SMALL, k)
        while True:
            source = bases.generated(self.store, str(size), self.source.dim, self._reporter)
            indexes = Indexes(self.store, source, self.build_threads, self._reporter)
            try:
                return _saved(source.folder, indexes.built(spec).folder)
            except UserError:
                if size >= self.source.size:
                    raise
                size *= 4


def _saved(base: Path, index: Path | None) -> Saved:
    return Saved(base=os.fspath(base), index=None if index is None else os.fspath(index))
