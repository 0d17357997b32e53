"""Weighs the memory cells of one knowledge base, each in a process of its own."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from bench.measure import bases, environment
from bench.measure.bases import Source
from bench.measure.indexes import Indexes, Target
from bench.measure.memory_plan import Planned, resolved
from bench.measure.memory_worker import Job, Outcome, Saved
from bench.measure.options import Options
from bench.measure.prepare import EXPECTED, why
from bench.measure.process import Launcher
from bench.records import provenance
from bench.records.measurement import IndexFacts, MemoryRecord, MemoryResult, Status
from bench.records.store import StoreError
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.reporter import Reporter, Silent
from reaugkd.retrieval.knowledge_base import KnowledgeBase

WORKER = Launcher.module("bench.measure.memory_worker")

SMALL = 1_000
"""Entries of the base that is served before the first reading."""


def besides(base: KnowledgeBase) -> int:
    """Bytes of what every backend needs beside its index: soft labels and ids, n (4 C + 8)."""
    return base.values.nbytes + base.ids.nbytes


def on_disk(base: KnowledgeBase, index: Path | None) -> int:
    """Bytes on disk of the saved index (else of the keys), soft labels and ids.

    A saved classifier also keeps the keys of a base whose index holds vectors of its own.
    """
    own = base.keys.nbytes if index is None else sum(p.stat().st_size for p in index.iterdir())
    return own + besides(base)


class Meter:
    """Measures the cells of one knowledge base.

    Args:
        store: where knowledge bases and indexes are kept.
        first: one of the cells.
        wanted: the options they come from.
        command: the command line, for provenance.
        reporter: told of builds.
        launch: starts the measuring process.
    """

    def __init__(
        self,
        store: ArtifactStore,
        first: Planned,
        wanted: Options,
        command: str,
        reporter: Reporter | None = None,
        launch: Launcher = WORKER,
    ) -> None:
        self.source = first.subject.source()
        self._store, self._command, self._launch = store, command, launch
        self._reporter = reporter or Silent()
        self._target, self._build_threads = Target.parse(wanted.target), wanted.build_threads
        self.indexes = Indexes(store, self.source, self._build_threads, reporter)

    def measure(self, cell: Planned) -> MemoryRecord:
        """The record of a cell; one that cannot be measured says why."""
        load = os.getloadavg()
        facts: IndexFacts | None = None
        result: MemoryResult | None = None
        status: Status = "ok"
        reason: str | None = None
        try:
            spec = resolved(cell.spec, cell.subject, cell.threads, self._store, self._reporter)
            facts = self.indexes.tuned(spec, cell.mixture, self._target, cell.threads)
            result = self._result(facts, cell)
        except StoreError:
            raise  # a full disk is not this cell's fault
        except EXPECTED as error:
            status, reason = "failed", why(error)
        return MemoryRecord(
            key=cell.key,
            identity=dict(cell.identity),
            status=status,
            reason=reason,
            base=self.source.name,
            size=self.source.size,
            dim=self.source.dim,
            classes=self.source.classes,
            generated=self.source.generated,
            backend=cell.spec,
            k=cell.mixture.k,
            index=facts,
            result=result,
            provenance=provenance.collect(self._command, load, "cpu"),
        )

    def _result(self, facts: IndexFacts, cell: Planned) -> MemoryResult:
        built, base = self.indexes.built(facts.spec), self.indexes.base
        small = self._small(facts.spec, cell.mixture.k)
        with tempfile.TemporaryDirectory(prefix="reaugkd-") as folder:
            queries = Path(folder, "queries.npz")
            np.savez(queries, queries=self.source.queries, student=self.source.student)
            job = Job(
                spec=facts.spec,
                small=small,
                measured=_saved(self.source, built.folder),
                queries=os.fspath(queries),
                effort=facts.effort,
                k=cell.mixture.k,
                tau=cell.mixture.tau,
                beta=cell.mixture.beta,
                threads=cell.threads,
            )
            variables = environment.variables(cell.threads)
            told = self._launch(job.model_dump_json(), variables, "result.json")
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
            source = bases.generated(self._store, str(size), self.source.dim, self._reporter)
            indexes = Indexes(self._store, source, self._build_threads, self._reporter)
            try:
                return _saved(source, indexes.built(spec).folder)
            except EXPECTED:
                if size >= self.source.size:
                    raise
                size *= 4


def _saved(source: Source, index: Path | None) -> Saved:
    return Saved(base=os.fspath(source.folder), index=None if index is None else os.fspath(index))
