"""The latency cells of some options, each with everything that decides its figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from bench.measure import environment, options, subjects
from bench.measure.indexes import index_identity
from bench.measure.options import Options
from bench.measure.subjects import Given, Subject
from bench.records import definitions, provenance
from bench.records.latency_cell import LatencyCell, Precision
from reaugkd.artifacts import fingerprint
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.reporter import Reporter, Silent
from reaugkd.retrieval import ann

PROTOCOL = 1
"""Raised when the loop, the inputs or the statistics would give the same cell another figure."""

DECISIVE = ("numpy", "torch", "transformers")
"""Packages whose version decides a figure; the index's library comes with it."""

CODE = (
    "reaugkd/retrieval/knowledge_base.py",
    "reaugkd/retrieval/mixing.py",
    "reaugkd/retrieval/normalise.py",
    "reaugkd/retrieval/query.py",
    "reaugkd/retrieval/ann/*.py",
    "reaugkd/models/encoder.py",
    "reaugkd/models/attention.py",
    "reaugkd/models/dropout.py",
    "bench/measure/environment.py",
    "bench/measure/inputs.py",
    "bench/measure/student.py",
    "bench/measure/timing.py",
    "bench/measure/worker.py",
)
"""Source whose definitions decide a figure: what is timed, and how (docs/decisions/0015)."""

INPUTS, BATCHES = 104, 8
"""At least, per process: 208 distinct inputs over two processes, and batches for a median."""


@dataclass(frozen=True)
class Planned:
    """A cell to measure.

    Attributes:
        cell: what is measured.
        key: fingerprint of ``identity``.
        identity: everything that decides the figure.
        subject: its knowledge base and student.
        given: its inputs.
    """

    cell: LatencyCell
    key: str
    identity: Mapping[str, Any]
    subject: Subject
    given: Given

    @property
    def count(self) -> int:
        """Inputs of one process."""
        return count(self.cell.batch)

    @property
    def warmup(self) -> int:
        """Untimed batches of one process."""
        return max(2, 8 // self.cell.batch)


def count(batch: int) -> int:
    """Inputs of one process, whole batches.

    >>> [count(batch) for batch in (1, 3, 32)]
    [104, 105, 256]
    """
    return max(BATCHES * batch, -(-INPUTS // batch) * batch)


def plan(
    wanted: Options,
    store: ArtifactStore,
    reporter: Reporter | None = None,
    *,
    delay_us: float = 0.0,
) -> list[Planned]:
    """Every cell, one base after another; the same cell only once.

    Raises:
        UserError: for the first mistake in the options.
    """
    options.require(wanted)
    for threads, precision in product(wanted.threads, wanted.precision):
        environment.require(threads, precision)
    told = reporter or Silent()
    cells: dict[str, Planned] = {}
    for subject in subjects.subjects(wanted, store, told):
        for spec in wanted.ann:
            ann.make(spec).check(subject.dim)
        for given, threads, precision, batch, k, spec in product(
            subject.given, wanted.threads, wanted.precision, wanted.batch, subject.ks, wanted.ann
        ):
            cell = _cell(subject, given, threads, precision, batch, k, spec)
            identity = _identity(cell, subject, given, wanted, store, told)
            if delay_us:
                identity["delay_us"] = delay_us
            key = fingerprint.of_json(identity)
            cells.setdefault(key, Planned(cell, key, identity, subject, given))
    return list(cells.values())


def _cell(
    subject: Subject,
    given: Given,
    threads: int,
    precision: Precision,
    batch: int,
    k: int,
    spec: str,
) -> LatencyCell:
    return LatencyCell(
        base=subject.name,
        size=subject.size,
        dim=subject.dim,
        classes=subject.classes,
        generated=subject.generated,
        backend=spec,
        k=k,
        tau=subject.tau,
        beta=subject.beta,
        batch=batch,
        precision=precision,
        threads=threads,
        lengths=given.label,
        student=subject.student_label,
    )


def _identity(
    cell: LatencyCell,
    subject: Subject,
    given: Given,
    wanted: Options,
    store: ArtifactStore,
    reporter: Reporter,
) -> dict[str, Any]:
    versions = provenance.packages()
    name, flags = provenance.processor()
    decisive = (*DECISIVE, "torchao") if cell.precision == "int8" else DECISIVE
    return {
        "kind": "latency",
        "protocol": PROTOCOL,
        "base": dict(subject.identity),
        "student": dict(subject.student_identity),
        "inputs": given.identity,
        "index": _index(cell, wanted.build_threads, store, reporter),
        "mixture": [cell.k, cell.tau, cell.beta],
        "target": wanted.target,
        "batch": cell.batch,
        "precision": cell.precision,
        "threads": cell.threads,
        "rounds": wanted.rounds,
        "packages": {name: versions[name] for name in decisive if name in versions},
        "code": definitions.of_files(*CODE),
        "cpu": [name, *flags],
    }


def _index(
    cell: LatencyCell, build_threads: int, store: ArtifactStore, reporter: Reporter
) -> dict[str, Any]:
    """What decides the index; ``auto`` is what it stands for on this machine.

    That is measured now if it has not been.
    """
    from reaugkd.retrieval.ann.auto import backend as auto

    spec = auto.resolve(
        cell.backend,
        cell.size,
        cell.dim,
        batch=cell.batch,
        threads=cell.threads,
        cache=store.root,
        reporter=reporter,
    )
    asked = {"asked": cell.backend} if spec != cell.backend else {}
    return {**index_identity(spec, build_threads), **asked}
