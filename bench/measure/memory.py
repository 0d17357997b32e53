"""Memory cells: one knowledge base in one backend, each read in a process of its own.

Four rulers, because none is right alone: the backend's formula, the bytes on disk (a lower bound of
what must be read), the growth of anonymous memory in a process that loads the saved index and
answers queries, and the peak on the way. Mapped file pages are told apart: they can be reclaimed.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import groupby, product
from pathlib import Path
from typing import Any

import numpy as np

from bench import provenance
from bench.executors import Overwrite
from bench.measure import bases, environment, options, subjects
from bench.measure.bases import Source
from bench.measure.indexes import Indexes, Mixture, Target
from bench.measure.memory_worker import BATCH, Job, Outcome, Saved
from bench.measure.options import Options
from bench.measure.prepare import EXPECTED, why
from bench.measure.process import Launcher
from bench.measure.record import IndexFacts, MemoryRecord, MemoryResult, Status
from bench.measure.results import Measurements, PlanFile
from bench.measure.subjects import Subject
from bench.store import StoreError
from reaugkd import fingerprint
from reaugkd.artifacts import ArtifactStore
from reaugkd.errors import UserError
from reaugkd.reporter import Reporter, Silent
from reaugkd.retrieval import ann
from reaugkd.retrieval.knowledge_base import KnowledgeBase

PROTOCOL = 1
"""Raised when the measuring process would give the same cell another figure."""

WORKER = Launcher.module("bench.measure.memory_worker")

SMALL = 1_000
"""Entries of the base that is served before the first reading."""


@dataclass(frozen=True)
class Planned:
    """A cell to measure: a knowledge base, not necessarily made yet, and a backend."""

    key: str
    identity: Mapping[str, Any]
    subject: Subject
    spec: str
    mixture: Mixture
    threads: int

    @property
    def label(self) -> str:
        """The cell in a few words."""
        return f"{self.subject.name} ({self.subject.size:,}) {self.spec} k {self.mixture.k}"


@dataclass(frozen=True)
class Done:
    """A cell that has just ended; ``number`` of ``total`` planned ones, from 1."""

    record: MemoryRecord
    reused: bool
    number: int
    total: int


def plan(wanted: Options, store: ArtifactStore, reporter: Reporter | None = None) -> list[Planned]:
    """Every cell, one base after another. Batch, precision and lengths do not matter here.

    Raises:
        UserError: for the first mistake in the options, or where there is no /proc to read.
    """
    require_linux()
    options.require(wanted)
    told = reporter or Silent()
    cells: dict[str, Planned] = {}
    for subject in subjects.subjects(wanted, store, told):
        for threads, k, spec in product(wanted.threads[:1], subject.ks, wanted.ann):
            mixture = subject.mixture(k)
            identity = {
                "kind": "memory",
                "protocol": PROTOCOL,
                "base": dict(subject.identity),
                "index": _library(_resolved(spec, subject, threads, store, told), spec, wanted),
                "mixture": [k, mixture.tau, mixture.beta],
                "target": wanted.target,
                "batch": BATCH,
                "threads": threads,
            }
            key = fingerprint.of_json(identity)
            cells.setdefault(key, Planned(key, identity, subject, spec, mixture, threads))
    return list(cells.values())


def measure(
    wanted: Options,
    measurements: Measurements,
    store: ArtifactStore,
    *,
    command: str,
    overwrite: Overwrite = "missing",
    reporter: Reporter | None = None,
    done: Callable[[Done], None] | None = None,
    launch: Launcher = WORKER,
) -> list[MemoryRecord]:
    """Measure what is not there yet; the records of all planned cells that have one.

    Args:
        wanted: which cells.
        measurements: where records are found and kept.
        store: where knowledge bases and indexes are found and kept.
        command: the command line, for provenance.
        overwrite: ``missing`` measures what has no usable record or did not end well, ``never``
            only what has no file at all, ``always`` everything.
        reporter: told of builds.
        done: told of every cell.
        launch: starts the measuring processes.

    Raises:
        UserError: for a mistake in the options, before any work starts; if a record cannot be
            written.
    """
    planned = plan(wanted, store, reporter)
    measurements.create()
    labels = {one.key: one.label for one in planned}
    measurements.write_plan(PlanFile(kind="memory", command=command, cells=labels))
    records: list[MemoryRecord] = []
    for _, group in groupby(planned, key=lambda one: id(one.subject)):
        meter: Meter | None = None  # opens the base, which a finished cell does not need
        for one in group:
            found = measurements.get(one.key)
            kept = found if isinstance(found, MemoryRecord) else None
            if overwrite == "always" or (overwrite == "missing" and not _usable(kept)):
                again = True
            else:
                again = found is None
            if again:
                meter = meter or Meter(store, one, wanted, command, reporter, launch)
                kept = meter.measure(one)
                measurements.write(kept)
            if kept is None:
                continue  # --overwrite never, and the file is no record of ours
            records.append(kept)
            if done is not None:
                done(Done(kept, not again, len(records), len(planned)))
    return records


def _usable(record: MemoryRecord | None) -> bool:
    return record is not None and record.status == "ok"


def require_linux() -> None:
    """Raise :class:`UserError` where there is no /proc/self/status to read."""
    if sys.platform != "linux":
        raise UserError(f"bench memory reads /proc, which Linux has and {sys.platform} has not")


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
            spec = _resolved(cell.spec, cell.subject, cell.threads, self._store, self._reporter)
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


def _resolved(
    spec: str, subject: Subject, threads: int, store: ArtifactStore, reporter: Reporter
) -> str:
    """The backend itself where ``auto`` was asked for."""
    from reaugkd.retrieval.ann import auto

    places: dict[str, Any] = {"cache": store.root, "reporter": reporter}
    return auto.resolve(spec, subject.size, subject.dim, threads=threads, **places)


def _library(spec: str, asked: str, wanted: Options) -> dict[str, Any]:
    """What decides an index beside its vectors; nothing is built for it."""
    empty = ann.make(spec, build_threads=wanted.build_threads)
    named = {"asked": asked} if asked != spec else {}
    return {"spec": spec, "params": empty.params(), "library": empty.version, **named}
