"""Latency cells: processes are added while a verdict is undecided and its time budget lasts.

A cell has at least two processes. A stored interval decides for any limit; only what is undecided
and has time left is measured on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from bench.measure import environment, limits, observed
from bench.measure.job import LatencyJob
from bench.measure.meter import Arrays, Meter, ReadyIndex
from bench.measure.observed import Observed
from bench.measure.plan import MeasurementPlan, count
from bench.measure.statistics import LEAST, verdict
from bench.records.measurement import LatencyCell, LatencyRecord, LatencyResult
from bench.records.measurements import Kind
from bench.records.store import StoreError

NEAR, SEVERAL = 0.2, 4
"""An estimate within this share of the limit wants so many processes."""

SEED = 0
"""Of the order in which the processes of a cell take their inputs."""


def worth_another(result: LatencyResult, limit: float, budget: float) -> bool:
    """Whether one more process is needed and fits into the budget, in seconds.

    It is needed while the verdict is undecided. With few processes an interval knows little of
    the variation between them, so near the limit a verdict takes :data:`SEVERAL` of them.
    """
    near = abs(result.ratio.estimate - limit) < NEAR * limit and result.processes < SEVERAL
    if verdict(result.ratio, limit) != "undecided" and not near:
        return False
    return result.seconds * (1 + 1 / result.processes) <= budget


class LatencyMeter(Meter[LatencyRecord]):
    """Times what retrieval adds to a forward. Verdicts are against the limit of each cell."""

    KIND: ClassVar[Kind] = "latency"
    RECORD: ClassVar[type[LatencyRecord]] = LatencyRecord

    def unfinished(self, record: LatencyRecord) -> bool:
        """Whether a record is undecided and has time left."""
        result = record.result
        return result is not None and self._worth_another(result, record.cell)

    def judged(self, record: LatencyRecord) -> LatencyRecord:
        """An earlier record before this limit."""
        if record.result is None:
            return record
        limit = limits.limit(record.cell, self.options.limit)
        changes = {"limit": limit, "verdict": verdict(record.result.ratio, limit)}
        return record.model_copy(update=changes)

    def record(
        self, plan: MeasurementPlan, result: LatencyResult | None, common: Mapping[str, Any]
    ) -> LatencyRecord:
        """The record of a cell."""
        limit = limits.limit(plan.cell, self.options.limit)
        judged = verdict(result.ratio, limit) if result else None
        return LatencyRecord(cell=plan.cell, limit=limit, verdict=judged, **common)

    def figures(self, plan: MeasurementPlan, index: ReadyIndex) -> tuple[LatencyResult, Arrays]:
        """Add processes until the verdict is clear or the budget is spent."""
        processes = self._earlier(plan, index)
        while True:
            if len(processes) >= LEAST:
                result = observed.result(processes, plan.cell.batch)
                if not self._worth_another(result, plan.cell):
                    return result, observed.pack(processes)
            processes.append(self._process(plan, index, len(processes)))

    def _worth_another(self, result: LatencyResult, cell: LatencyCell) -> bool:
        limit = limits.limit(cell, self.options.limit)
        return worth_another(result, limit, self.options.budget)

    def _earlier(self, plan: MeasurementPlan, index: ReadyIndex) -> list[Observed]:
        """Processes of an undecided record of this very index: it is measured on."""
        record = None if self.overwrite == "always" else self.measurements.read(plan.key)
        if not isinstance(record, LatencyRecord) or record.result is None:
            return []
        if record.index != index.facts:
            return []
        try:
            return observed.unpack(self.measurements.arrays(plan.key))
        except StoreError:
            return []  # the record's raw times are damaged: they are measured again

    def _process(self, plan: MeasurementPlan, index: ReadyIndex, number: int) -> Observed:
        cell, source, inputs = plan.cell, plan.subject.source, plan.inputs
        assert inputs is not None  # a latency cell has some
        job = LatencyJob(
            cell=cell,
            effort=index.facts.effort,
            index=index.folder,
            spec=plan.spec,
            base=str(source.folder),
            queries=str(source.queries_file) if source.generated else None,
            student=plan.student(self.store),
            inputs=str(inputs.path),
            seed=SEED,
            process=number,
            count=count(cell.batch),
            rounds=self.options.rounds,
            warmup=max(2, 8 // cell.batch),
            delay_us=self.delay_us,
        )
        began = time.perf_counter()
        content = self.launcher(job.model_dump_json(), environment.variables(cell.threads))
        return observed.read(content, time.perf_counter() - began)
