"""The cells of some options, latency or memory, each with everything that decides its figure."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from bench.measure import environment, exported
from bench.measure.indexes import index_identity
from bench.measure.job import StudentSource
from bench.measure.options import Options
from bench.measure.subjects import InputFile, Subject, generated
from bench.records import definitions, provenance
from bench.records.measurement import LatencyCell
from bench.records.measurements import Kind
from reaugkd.artifacts import fingerprint
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import UserError
from reaugkd.models.runtime import TORCH
from reaugkd.reporter import Reporter, Silent
from reaugkd.retrieval import ann
from reaugkd.retrieval.ann.auto import backend as auto

PROTOCOL: Mapping[Kind, int] = {"latency": 1, "memory": 1}
"""Raised when the process, the inputs or the statistics would give a cell another figure."""

DECISIVE = ("numpy", "torch", "transformers")
"""Packages whose version decides a time; the index's library comes with it."""

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
    "bench/measure/timed.py",
    "bench/measure/timing.py",
    "bench/measure/worker.py",
)
"""Source whose definitions decide a time: what is timed, and how (docs/decisions/0015)."""

INPUTS, BATCHES = 104, 8
"""At least, per process: 208 distinct inputs over two processes, and batches for a median."""

MEMORY_BATCH = 32
"""Queries per search of a memory cell: what a search holds for a batch is part of the peak."""


@dataclass(frozen=True, eq=False)
class MeasurementPlan:
    """A cell to measure.

    Attributes:
        cell: what is measured; of a memory cell its precision and lengths do not count.
        spec: the backend; differs from the cell's for ``auto``.
        key: fingerprint of ``identity``, which is everything that decides the figure.
        subject: its knowledge base and student, not necessarily made yet.
        inputs: of a latency cell.
    """

    kind: Kind
    cell: LatencyCell
    spec: str
    key: str
    identity: Mapping[str, Any]
    subject: Subject
    inputs: InputFile | None

    def student(self, store: ArtifactStore) -> StudentSource:
        """The student of a latency cell, made or found: the subject's, or an export of it."""
        if self.cell.runtime is None:
            return self.subject.student()
        return exported.student(self.subject, self.cell.runtime, store)

    @property
    def label(self) -> str:
        """The cell in a few words."""
        if self.kind == "latency":
            return self.cell.label
        return f"{self.cell.place} {self.cell.backend} k {self.cell.k}"


def count(batch: int) -> int:
    """Inputs of one process, whole batches.

    >>> [count(batch) for batch in (1, 3, 32)]
    [104, 105, 256]
    """
    return max(BATCHES * batch, -(-INPUTS // batch) * batch)


def plan(
    wanted: Options,
    store: ArtifactStore,
    kind: Kind = "latency",
    reporter: Reporter | None = None,
    *,
    delay_us: float = 0.0,
) -> list[MeasurementPlan]:
    """Every cell, one base after another; the same cell only once.

    Batch, precision and lengths do not matter to memory.

    Raises:
        UserError: for what this machine cannot measure, or a subject that cannot be used.
    """
    if kind == "memory":
        require_linux()
    else:
        for threads, precision in product(wanted.threads, wanted.precision):
            environment.require(threads, precision)
    reporter = reporter or Silent()
    plans: dict[str, MeasurementPlan] = {}
    for subject in subjects(wanted, store, reporter):
        for spec in wanted.ann:
            ann.make(spec).check(subject.source.width)
        for cell, inputs in _cells(subject, wanted, kind):
            spec = auto.resolve(
                cell.backend,
                cell.size,
                cell.width,
                batch=cell.batch if kind == "latency" else None,
                threads=cell.threads,
                cache=store.root,
                reporter=reporter,
            )
            identity = _identity(kind, cell, spec, subject, inputs, wanted)
            if delay_us:
                identity["delay_us"] = delay_us
            key = fingerprint.of_json(identity)
            planned = MeasurementPlan(kind, cell, spec, key, identity, subject, inputs)
            plans.setdefault(key, planned)
    return list(plans.values())


def subjects(wanted: Options, store: ArtifactStore, reporter: Reporter) -> list[Subject]:
    """The knowledge bases that the options ask for, each with its student.

    Raises:
        UserError: for a student, a run or a classifier that cannot be used.
    """
    if not wanted.served:
        return generated(wanted, store, reporter)
    from bench.measure import served

    return [served.subject(wanted, store, reporter)]


def require_linux() -> None:
    """Raise :class:`UserError` where there is no /proc/self/status to read."""
    if sys.platform != "linux":
        raise UserError(f"bench memory reads /proc, which Linux has and {sys.platform} has not")


def _cells(
    subject: Subject, wanted: Options, kind: Kind
) -> Iterable[tuple[LatencyCell, InputFile | None]]:
    """The cells of a subject in the order of the work, each with its inputs if it has any."""
    source = subject.source
    names = ("size", "dim", "classes", "generated", "reduction")
    shared = {name: getattr(source, name) for name in names}
    shared |= {"base": source.name, "tau": subject.tau, "beta": subject.beta}
    inputs: Sequence[InputFile | None] = subject.inputs
    runtimes = [None if name == TORCH else name for name in wanted.backend]
    axes: Sequence[Sequence[Any]] = (wanted.threads, runtimes, wanted.precision, wanted.batch)
    if kind == "memory":
        inputs, axes = (None,), (wanted.threads[:1], (None,), ("fp32",), (MEMORY_BATCH,))
    varying = ("threads", "runtime", "precision", "batch", "k", "backend")
    for file, *values in product(inputs, *axes, subject.ks, wanted.ann):
        lengths = {"lengths": file.label if file else "", "student": subject.student_label}
        yield LatencyCell(**shared, **lengths, **dict(zip(varying, values, strict=True))), file


def _identity(
    kind: Kind,
    cell: LatencyCell,
    spec: str,
    subject: Subject,
    inputs: InputFile | None,
    wanted: Options,
) -> dict[str, Any]:
    """What decides a cell; of a time, which has inputs, more than of memory."""
    asked = {"asked": cell.backend} if spec != cell.backend else {}
    identity: dict[str, Any] = {
        "kind": kind,
        "protocol": PROTOCOL[kind],
        "base": dict(subject.source.identity),
        "index": {**index_identity(spec, wanted.build_threads), **asked},
        "mixture": [cell.k, cell.tau, cell.beta],
        "target": wanted.target,
        "batch": cell.batch,
        "threads": cell.threads,
    }
    if cell.reduction is not None and cell.reduction.skip_above is not None:
        identity["skip_above"] = cell.reduction.skip_above
    if inputs is None:
        return identity
    versions = provenance.packages()
    processor, flags = provenance.cpu()
    decisive = (*DECISIVE, "torchao") if cell.precision == "int8" else DECISIVE
    if cell.runtime is not None:
        identity |= exported.identity(cell.runtime)
    return identity | {
        "student": dict(subject.student_identity),
        "inputs": inputs.identity,
        "precision": cell.precision,
        "rounds": wanted.rounds,
        "packages": {name: versions[name] for name in decisive if name in versions},
        "code": definitions.of_files(*CODE),
        "cpu": [processor, *flags],
    }
