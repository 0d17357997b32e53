"""What the cells of one base need before they are measured: vectors, indexes, search efforts."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bench.measure.estimate import Estimate, words
from bench.measure.indexes import Built, Indexes, Target, index_identity
from bench.measure.options import Options
from bench.measure.plan import MeasurementPlan
from bench.records.measurement import IndexFacts
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import UserError
from reaugkd.reporter import Reporter
from reaugkd.retrieval import ann

EXPECTED = (UserError, RuntimeError, ValueError, OSError, MemoryError)
"""What libraries raise where an index cannot be built: a reason for a cell to fail, not a crash."""


class UnreadyError(UserError):
    """A cell cannot be measured; the message is the reason."""


class Need(NamedTuple):
    """What decides a tuned index within a base."""

    spec: str
    k: int
    threads: int

    @classmethod
    def of(cls, plan: MeasurementPlan) -> Need:
        """Of a cell."""
        return cls(plan.spec, plan.cell.k, plan.cell.threads)


@dataclass(frozen=True)
class ReadyIndex:
    """An index that is built and tuned."""

    facts: IndexFacts
    built: Built

    @property
    def folder(self) -> str | None:
        """Of the saved index, None where a process builds it at once."""
        return None if self.built.folder is None else str(self.built.folder)


@dataclass(frozen=True)
class Ready:
    """A base to measure on.

    Attributes:
        base: folder of the knowledge base.
        indexes: by need, the index or the reason why there is none.
    """

    base: str
    indexes: Mapping[Need, ReadyIndex | str]

    def index(self, plan: MeasurementPlan) -> ReadyIndex:
        """The index of a cell.

        Raises:
            UnreadyError: if it could not be built or tuned.
        """
        index = self.indexes[Need.of(plan)]
        if isinstance(index, str):
            raise UnreadyError(index)
        return index


def prepare(
    plans: Sequence[MeasurementPlan],
    options: Options,
    store: ArtifactStore,
    reporter: Reporter,
    estimate: Estimate,
) -> Ready:
    """Make the base of some cells, build all their indexes and tune them.

    Raises:
        UnreadyError: if there is no base or no student.
    """
    subject = plans[0].subject
    try:
        base = str(subject.source.folder)
        if plans[0].kind == "latency":
            subject.student()
    except EXPECTED as error:
        raise UnreadyError(why(error)) from error
    indexes = Indexes(store, subject.source, options.build_threads, reporter)
    target = Target.parse(options.target)
    needs = {Need.of(plan): plan for plan in plans}
    ready = {
        need: _index(plan, indexes, target, store, reporter, estimate)
        for need, plan in needs.items()
    }
    del indexes
    gc.collect()  # what was built lies on disk; the measuring processes need the memory
    return Ready(base, ready)


def pending(
    plan: MeasurementPlan, build_threads: int, store: ArtifactStore
) -> tuple[str, int] | None:
    """Spec and size of the index that has to be built for a cell; None if it is there."""
    source = plan.subject.source
    identity = {"base": dict(source.identity), **index_identity(plan.spec, build_threads)}
    instant = ann.make(plan.spec, build_threads=build_threads).instant
    return None if instant or store.has("index", identity) else (plan.spec, source.size)


def why(error: BaseException) -> str:
    """An error in one line."""
    text = " ".join(str(error).split())
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}".rstrip(": ")


def _index(
    plan: MeasurementPlan,
    indexes: Indexes,
    target: Target,
    store: ArtifactStore,
    reporter: Reporter,
    estimate: Estimate,
) -> ReadyIndex | str:
    """The index of a cell, or why there is none."""
    spec, cell = plan.spec, plan.cell
    seconds = estimate.build(spec, cell.size)
    if seconds and pending(plan, indexes.build_threads, store):
        about = words(seconds)
        reporter.note(f"{cell.base}: building {spec} over {cell.size:,} takes about {about}")
    step = "building"
    try:
        built = indexes.built(spec)
        estimate.built(spec, cell.size, built.seconds)
        step = "tuning"
        return ReadyIndex(indexes.tuned(spec, plan.mixture, target, cell.threads), built)
    except EXPECTED as error:
        return f"{step} {spec}: {why(error)}"
