"""Measures planned cells one at a time, each in processes of its own, and resumes what was killed.

Per base: it is made, all its indexes are built and tuned, and only then its cells are measured, so
that nothing else runs beside them.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, ClassVar, Generic, TypeVar

from numpy.typing import NDArray

from bench.executors.groups import Overwrite
from bench.measure.estimate import Estimate
from bench.measure.options import Options
from bench.measure.plan import MeasurementPlan, plan
from bench.measure.prepare import (
    EXPECTED,
    ReadyIndex,
    UnreadyError,
    need,
    pending,
    prepare,
    why,
)
from bench.measure.process import Launch, Launcher
from bench.records import provenance
from bench.records.measurement import LatencyRecord, MemoryRecord
from bench.records.measurements import Kind, Measurements, PlanFile
from bench.records.store import StoreError
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.reporter import Reporter, Silent

WORKER = "bench.measure.worker"

AnyMeasured = TypeVar("AnyMeasured", LatencyRecord, MemoryRecord)
Arrays = Mapping[str, NDArray[Any]]


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
    launcher: Launch = field(default_factory=lambda: Launcher.module(WORKER))
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
        """The cells that the options ask for.

        Raises:
            UserError: for a mistake in the options.
        """
        return plan(self.options, self.store, self.KIND, self.reporter, delay_us=self.delay_us)

    def run(self, done: Callable[[Done[AnyMeasured]], None] | None = None) -> list[AnyMeasured]:
        """Measure what is not there yet.

        A cell that cannot be measured is a record too, failed with the reason.

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
        fresh = [plan for plan in plans if plan.key not in kept]
        builds = (pending(plan, self.options.build_threads, self.store) for plan in fresh)
        estimate = Estimate(fresh, filter(None, builds))
        records: list[AnyMeasured] = []
        for _, group in groupby(plans, key=lambda plan: id(plan.subject)):
            cells = list(group)
            wanted = [cell for cell in cells if cell.key not in kept]
            places = (self.options, self.store, self.reporter, estimate)
            ready = prepare(wanted, *places) if wanted else {}
            for cell in cells:
                began, reused = time.perf_counter(), cell.key in kept
                record = kept[cell.key] if reused else self._measured(cell, ready[need(cell)])
                if record is None:
                    continue  # --overwrite never, and the file is no record of ours
                if not reused:
                    estimate.measured(cell, time.perf_counter() - began)
                records.append(record)
                if done is not None:
                    done(Done(record, reused, len(records), len(plans), estimate.left()))
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
            if self.overwrite == "missing" and not (
                record and record.result and not self.unfinished(record)
            ):
                continue
            kept[cell.key] = judged = None if record is None else self.judged(record)
            if keep and judged is not None and judged != record:
                self.measurements.write(judged)
        return kept

    def _measured(self, plan: MeasurementPlan, index: ReadyIndex | UnreadyError) -> AnyMeasured:
        """Measure a cell and keep its record."""
        load = os.getloadavg()
        result, arrays, reason = None, None, None
        try:
            if isinstance(index, UnreadyError):
                raise index
            result, arrays = self.figures(plan, index)
        except StoreError:
            raise  # a full disk is not this cell's fault
        except EXPECTED as error:
            reason = why(error)
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
