"""What the cells of one base need before they are measured: vectors, indexes, search efforts."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from bench.measure.estimate import Estimate, words
from bench.measure.indexes import Built, Indexes, Target, index_identity
from bench.measure.job import FolderStudent, RandomStudent
from bench.measure.options import Options
from bench.measure.plan import Planned
from bench.measure.subjects import Subject
from bench.records.measurement import IndexFacts
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import UserError
from reaugkd.reporter import Reporter
from reaugkd.retrieval import ann
from reaugkd.retrieval.ann.auto import backend as auto

EXPECTED = (UserError, RuntimeError, ValueError, OSError, MemoryError)
"""What libraries raise where an index cannot be built: a reason for a cell to fail, not a crash."""


class UnreadyError(UserError):
    """A cell cannot be measured; the message is the reason."""


class Need(NamedTuple):
    """What decides a tuned index within a base; the batch only where the backend is ``auto``."""

    backend: str
    k: int
    threads: int
    batch: int | None

    @classmethod
    def of(cls, planned: Planned) -> Need:
        """Of a cell."""
        cell = planned.cell
        batch = cell.batch if auto.is_auto(cell.backend) else None
        return cls(cell.backend, cell.k, cell.threads, batch)


@dataclass(frozen=True)
class Index:
    """An index that is built and tuned; ``folder`` is None where the worker builds it at once."""

    facts: IndexFacts
    folder: str | None


@dataclass(frozen=True)
class Ready:
    """A base to measure on.

    Attributes:
        base: folder of the knowledge base.
        queries: file of the queries of a generated base.
        student: the student.
        indexes: by need, the index or the reason why there is none.
    """

    base: str
    queries: str | None
    student: RandomStudent | FolderStudent
    indexes: Mapping[Need, Index | str]

    def index(self, planned: Planned) -> Index:
        """The index of a cell.

        Raises:
            UnreadyError: if it could not be built or tuned.
        """
        found = self.indexes[Need.of(planned)]
        if isinstance(found, str):
            raise UnreadyError(found)
        return found


def prepare(
    cells: Sequence[Planned],
    options: Options,
    store: ArtifactStore,
    reporter: Reporter,
    estimate: Estimate,
) -> Ready:
    """Generate, build all, then tune all; an index that fails fails its own cells alone.

    Raises:
        UnreadyError: if there is no base or no student.
    """
    subject = cells[0].subject
    try:
        source, student = subject.source(), subject.student()
    except EXPECTED as error:
        raise UnreadyError(why(error)) from error
    indexes = Indexes(store, source, options.build_threads, reporter)
    needs = {Need.of(one): one for one in cells}
    found: dict[Need, Built | str] = {}
    for need, planned in needs.items():
        try:
            found[need] = _built(planned, indexes, store, reporter, estimate)
        except EXPECTED as error:
            found[need] = f"building {need.backend}: {why(error)}"
    ready: dict[Need, Index | str] = {}
    for need, built in found.items():
        ready[need] = (
            built
            if isinstance(built, str)
            else _tuned(need, built, indexes, subject, Target.parse(options.target))
        )
    queries = str(source.folder / "queries.safetensors") if source.generated else None
    made = Ready(str(source.folder), queries, student, ready)
    del indexes, source
    gc.collect()  # what was built lies on disk; the measuring processes need the memory
    return made


def pending(planned: Planned, build_threads: int, store: ArtifactStore) -> tuple[str, int] | None:
    """Spec and size of the index that has to be built for a cell; None if it is there, or auto."""
    cell = planned.cell
    if auto.is_auto(cell.backend):
        return None
    empty = ann.make(cell.backend, build_threads=build_threads)
    own = index_identity(cell.backend, build_threads)
    identity = {"base": dict(planned.subject.identity), **own}
    if empty.instant or store.has("index", identity):
        return None
    return cell.backend, cell.size


def why(error: BaseException) -> str:
    """An error in one line."""
    said = " ".join(str(error).split())
    return said if isinstance(error, UserError) else f"{type(error).__name__}: {said}".rstrip(": ")


def _built(
    planned: Planned,
    indexes: Indexes,
    store: ArtifactStore,
    reporter: Reporter,
    estimate: Estimate,
) -> Built:
    cell = planned.cell
    places: dict[str, Any] = {"cache": store.root, "reporter": reporter}
    spec = auto.resolve(
        cell.backend, cell.size, cell.dim, batch=cell.batch, threads=cell.threads, **places
    )
    seconds = estimate.build(spec, cell.size)
    if seconds and pending(planned, indexes.build_threads, store):
        about = words(seconds)
        reporter.note(f"{cell.base}: building {spec} over {cell.size:,} takes about {about}")
    built = indexes.built(spec)
    estimate.built(spec, cell.size, built.seconds)
    return built


def _tuned(
    need: Need, built: Built, indexes: Indexes, subject: Subject, target: Target
) -> Index | str:
    try:
        facts = indexes.tuned(built.spec, subject.mixture(need.k), target, need.threads)
    except EXPECTED as error:
        return f"tuning {built.spec}: {why(error)}"
    return Index(facts, None if built.folder is None else str(built.folder))
