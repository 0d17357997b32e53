"""What the cells of one base need before they are measured: vectors, indexes, search efforts."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass

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


Need = tuple[str, int, int]
"""What decides a tuned index within a base: spec, k and threads."""


@dataclass(frozen=True)
class ReadyIndex:
    """An index that is built and tuned."""

    facts: IndexFacts
    built: Built

    @property
    def folder(self) -> str | None:
        """Of the saved index, None where a process builds it at once."""
        return None if self.built.folder is None else str(self.built.folder)


def need(plan: MeasurementPlan) -> Need:
    """The index that a cell needs."""
    return plan.spec, plan.cell.k, plan.cell.threads


def prepare(
    plans: Sequence[MeasurementPlan],
    options: Options,
    store: ArtifactStore,
    reporter: Reporter,
    estimate: Estimate,
) -> dict[Need, ReadyIndex | UnreadyError]:
    """Make the base and the student of some cells, build all their indexes and tune them.

    Returns:
        By need, the index or why there is none.
    """
    subject, needs = plans[0].subject, {need(plan): plan for plan in plans}
    try:
        indexes = Indexes(store, subject.source, options.build_threads, reporter)
        if len(indexes.base) != subject.source.size:  # made, if need be, before any index
            raise UnreadyError(f"{subject.source.folder} holds {len(indexes.base):,} entries")
        if plans[0].kind == "latency":
            subject.student()
        ready = {
            key: _index(plan, indexes, Target.parse(options.target), reporter, estimate)
            for key, plan in needs.items()
        }
    except EXPECTED as error:
        return dict.fromkeys(needs, UnreadyError(why(error)))
    del indexes
    gc.collect()  # what was built lies on disk; the measuring processes need the memory
    return ready


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
    reporter: Reporter,
    estimate: Estimate,
) -> ReadyIndex | UnreadyError:
    """The index of a cell, or why there is none."""
    spec, cell, step = plan.spec, plan.cell, "building"
    seconds = estimate.build(spec, cell.size)
    if seconds:
        about = words(seconds)
        reporter.note(f"{cell.base}: building {spec} over {cell.size:,} takes about {about}")
    try:
        built = indexes.built(spec)
        estimate.built(spec, cell.size, built.seconds)
        step = "tuning"
        return ReadyIndex(indexes.tuned(spec, plan.mixture, target, cell.threads), built)
    except EXPECTED as error:
        return UnreadyError(f"{step} {spec}: {why(error)}")
