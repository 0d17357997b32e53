"""Measures planned cells one at a time, each in processes of its own, and resumes what was killed.

Per base: it is made, all its indexes are built and tuned, and only then its cells are measured, so
that nothing else runs beside them.
"""

from __future__ import annotations

import gc
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from statistics import fmean
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from numpy.typing import NDArray

from bench.executors.groups import Overwrite
from bench.measure.indexes import Built, Indexes, Target
from bench.measure.options import Options
from bench.measure.plan import MeasurementPlan, plan
from bench.measure.process import Launch, Launcher
from bench.records import provenance
from bench.records.measurement import IndexFacts, LatencyRecord, MemoryRecord
from bench.records.measurements import Kind, Measurements, PlanFile
from bench.records.store import StoreError
from reaugkd.artifacts.disk import DiskFullError
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import UserError
from reaugkd.reporter import Reporter, Silent

EXPECTED = (UserError, RuntimeError, ValueError, OSError, MemoryError)
"""What libraries raise where an index cannot be built: a reason for a cell to fail, not a crash."""

AnyMeasured = TypeVar("AnyMeasured", LatencyRecord, MemoryRecord)
Arrays = Mapping[str, NDArray[Any]]
Need = tuple[str, int, int]
"""What decides a tuned index within a base: spec, k and threads."""


class UnreadyError(UserError):
    """A cell cannot be measured; the message is the reason."""


class ReadyIndex(NamedTuple):
    """An index that is built and tuned."""

    facts: IndexFacts
    built: Built

    @property
    def folder(self) -> str | None:
        """Of the saved index, None where a process builds it at once."""
        return None if self.built.folder is None else str(self.built.folder)


@dataclass(frozen=True)
class Done(Generic[AnyMeasured]):
    """A cell that has just ended.

    Attributes:
        record: what came out.
        reused: whether it was there already.
        number, total: its place among all planned cells, from 1.
        left: estimated seconds until all are done, None without anything to go by.
    """

    record: AnyMeasured
    reused: bool
    number: int
    total: int
    left: float | None


@dataclass
class Meter(ABC, Generic[AnyMeasured]):
    """Measures the cells of one kind.

    Attributes:
        options: which cells.
        measurements: where records are found and kept.
        store: where knowledge bases and indexes are found and kept.
        command: the command line, for provenance.
        overwrite: ``missing`` measures what has no usable record, did not end well or is not
            finished; ``never`` only what has no file at all; ``always`` everything.
        reporter: told of builds.
        launcher: starts the measuring processes.
        delay_us: a delay in the query path, to see whether a gate notices it.
    """

    options: Options
    measurements: Measurements
    store: ArtifactStore
    command: str
    overwrite: Overwrite = "missing"
    reporter: Reporter = field(default_factory=Silent)
    launcher: Launch = field(default_factory=Launcher)
    delay_us: float = 0.0

    KIND: ClassVar[Kind]
    RECORD: ClassVar[type[Any]]

    @abstractmethod
    def figures(self, plan: MeasurementPlan, index: ReadyIndex) -> tuple[Any, Arrays | None]:
        """The result of a cell and its arrays; whatever is in ``EXPECTED`` fails the cell."""

    @abstractmethod
    def record(self, plan: MeasurementPlan, result: Any, common: Mapping[str, Any]) -> AnyMeasured:
        """The record of a cell; ``common`` are the fields that all kinds have."""

    def unfinished(self, record: AnyMeasured) -> bool:
        """Whether a record that has figures has to be measured on."""
        return False

    def judged(self, record: AnyMeasured) -> AnyMeasured:
        """An earlier record as these options see it."""
        return record

    def plan(self) -> list[MeasurementPlan]:
        """The cells that the options ask for."""
        return plan(self.options, self.store, self.KIND, self.reporter, delay_us=self.delay_us)

    def run(self, done: Callable[[Done[AnyMeasured]], None] | None = None) -> list[AnyMeasured]:
        """Measure what is not there yet; a cell that cannot be measured is a record too, failed.

        Args:
            done: told of every cell.

        Returns:
            The records of all planned cells in the order of the plan; those whose file is damaged
            are missing if it must not be overwritten.

        Raises:
            UserError: for a mistake in the options, before any work starts; if a record cannot be
                written.
        """
        plans = self.plan()
        self.measurements.create()
        labels = {plan.key: plan.label for plan in plans}
        self.measurements.write_plan(PlanFile(kind=self.KIND, command=self.command, cells=labels))
        kept = self.finished(plans)
        records: list[AnyMeasured] = []
        took: list[float] = []
        for _, group in groupby(plans, key=lambda plan: id(plan.subject)):
            cells = list(group)
            ready = self._prepared([cell for cell in cells if cell.key not in kept])
            for cell in cells:
                began, reused = time.perf_counter(), cell.key in kept
                record = kept[cell.key] if reused else self._measured(cell, ready[_need(cell)])
                if record is None:
                    continue  # --overwrite never, and the file is no record of ours
                if not reused:
                    took.append(time.perf_counter() - began)
                records.append(record)
                if done is not None:
                    waiting = len(plans) - len(kept) - len(took)
                    left = fmean(took) * waiting if took else None
                    done(Done(record, reused, len(records), len(plans), left))
        return records

    def finished(
        self, plans: Sequence[MeasurementPlan], *, keep: bool = True
    ) -> dict[str, AnyMeasured | None]:
        """The cells of which nothing has to be measured, by key, as these options see them.

        None stands for a file that is damaged and must not be overwritten.

        Args:
            plans: the cells.
            keep: store what these options see otherwise.
        """
        kept: dict[str, AnyMeasured | None] = {}
        for cell in plans:
            stored = self.measurements.read(cell.key)
            if stored is None or self.overwrite == "always":
                continue
            record: AnyMeasured | None = stored if isinstance(stored, self.RECORD) else None
            whole = record and record.result and not self.unfinished(record)
            if self.overwrite == "missing" and not whole:
                continue
            kept[cell.key] = judged = None if record is None else self.judged(record)
            if keep and judged is not None and judged != record:
                self.measurements.write(judged)
        return kept

    def _prepared(self, plans: Sequence[MeasurementPlan]) -> dict[Need, ReadyIndex | UnreadyError]:
        """Make the base and the student of some cells, build all their indexes and tune them."""
        if not plans:
            return {}
        subject, needs = plans[0].subject, {_need(plan): plan for plan in plans}
        try:
            indexes = Indexes(self.store, subject.source, self.options.build_threads, self.reporter)
            if len(indexes.base) != subject.source.size:  # made, if need be, before any index
                raise UnreadyError(f"{subject.source.folder} holds {len(indexes.base):,} entries")
            if self.KIND == "latency":
                for plan in plans:
                    plan.student(self.store)
            ready = {need: self._index(plan, indexes) for need, plan in needs.items()}
        except DiskFullError:
            raise
        except EXPECTED as error:
            return dict.fromkeys(needs, UnreadyError(_why(error)))
        del indexes
        gc.collect()  # what was built lies on disk; the measuring processes need the memory
        return ready

    def _index(self, plan: MeasurementPlan, indexes: Indexes) -> ReadyIndex | UnreadyError:
        step, target = "building", Target.parse(self.options.target)
        mixture = plan.subject.mixture(plan.cell.k)
        try:
            built = indexes.built(plan.spec)
            step = "tuning"
            return ReadyIndex(indexes.tuned(plan.spec, mixture, target, plan.cell.threads), built)
        except DiskFullError:
            raise
        except EXPECTED as error:
            return UnreadyError(f"{step} {plan.spec}: {_why(error)}")

    def _measured(self, plan: MeasurementPlan, index: ReadyIndex | UnreadyError) -> AnyMeasured:
        """Measure a cell and keep its record."""
        load = os.getloadavg()
        result, arrays, reason = None, None, None
        try:
            if isinstance(index, UnreadyError):
                raise index
            result, arrays = self.figures(plan, index)
        except (StoreError, DiskFullError):
            raise  # a full disk is not this cell's fault
        except EXPECTED as error:
            reason = _why(error)
        origin = provenance.collect(self.command, load, "cpu")
        common = {
            "key": plan.key,
            "identity": dict(plan.identity),
            "status": "failed" if result is None else "ok",
            "reason": reason,
            "index": None if isinstance(index, UnreadyError) else index.facts,
            "result": result,
            "provenance": origin.model_copy(update={"threads": plan.cell.threads}),
        }
        record = self.record(plan, result, common)
        self.measurements.write(record, arrays)
        return record


def _need(plan: MeasurementPlan) -> Need:
    return plan.spec, plan.cell.k, plan.cell.threads


def _why(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}".rstrip(": ")
