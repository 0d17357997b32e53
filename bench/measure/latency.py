"""Latency cells: planned at once, then measured one at a time, each in processes of its own.

Per base: it is generated, all its indexes are built and tuned, and only then its cells are
measured, so that nothing else runs beside them. A cell has at least two processes; while its
verdict is undecided and its time budget lasts, it gets one more, and another.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from bench.executors.pool import Overwrite
from bench.measure import environment, observed
from bench.measure.estimate import Estimate
from bench.measure.job import Job
from bench.measure.observed import Observed
from bench.measure.options import Options
from bench.measure.plan import Planned, plan
from bench.measure.prepare import Index, Ready, UnreadyError, pending, prepare
from bench.measure.process import Launch, Launcher, ProcessError
from bench.measure.statistics import LEAST, verdict
from bench.records import provenance
from bench.records.measurement import LatencyRecord, LatencyResult
from bench.records.measurements import Measurements, PlanFile
from bench.records.store import StoreError
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.reporter import Reporter, Silent

WORKER = "bench.measure.worker"
NEAR, SEVERAL = 0.2, 4
"""An estimate within this share of the limit wants so many processes."""

SEED = 0
"""Of the order in which the processes of a cell take their inputs."""


@dataclass(frozen=True)
class Done:
    """A cell that has just ended.

    Attributes:
        record: what came out.
        reused: whether it was there already.
        number, total: its place among all planned cells, from 1.
        left: estimated seconds until all are done, None without anything to go by.
    """

    record: LatencyRecord
    reused: bool
    number: int
    total: int
    left: float | None


def measure(
    options: Options,
    measurements: Measurements,
    store: ArtifactStore,
    *,
    command: str,
    overwrite: Overwrite = "missing",
    reporter: Reporter | None = None,
    done: Callable[[Done], None] | None = None,
    launcher: Launch | None = None,
    delay_us: float = 0.0,
) -> list[LatencyRecord]:
    """Measure what is not there yet.

    Verdicts are against ``options.limit``, also of records that were there already. A cell that
    cannot be measured is a record too, failed with the reason.

    Args:
        options: which cells.
        measurements: where records are found and kept.
        store: where knowledge bases and indexes are found and kept.
        command: the command line, for provenance.
        overwrite: ``missing`` measures what has no usable record, did not end well or could still
            be decided within the budget; ``never`` only what has no file at all; ``always``
            everything.
        reporter: told of builds.
        done: told of every cell.
        launcher: starts the measuring processes.
        delay_us: a delay in the query path, to see whether a gate notices it.

    Returns:
        The records of all planned cells in the order of the plan; those whose file is damaged
        are missing if it must not be overwritten.

    Raises:
        UserError: for a mistake in the options, before any work starts; if a record cannot be
            written.
    """
    told = reporter or Silent()
    planned = plan(options, store, told, delay_us=delay_us)
    measurements.create()
    labels = {one.key: one.cell.label for one in planned}
    measurements.write_plan(PlanFile(kind="latency", command=command, cells=labels))
    kept = finished(planned, measurements, options, overwrite)
    fresh = [one for one in planned if one.key not in kept]
    builds = (pending(one, options.build_threads, store) for one in fresh)
    estimate = Estimate(fresh, filter(None, builds))
    records: list[LatencyRecord] = []

    def tell(record: LatencyRecord, reused: bool) -> None:
        records.append(record)
        if done is not None:
            done(Done(record, reused, len(records), len(planned), estimate.left()))

    bench = _Bench(
        options, measurements, command, launcher or Launcher.module(WORKER), overwrite, delay_us
    )
    for _, group in groupby(planned, key=lambda one: id(one.subject)):
        mine = list(group)
        wanted = [one for one in mine if one.key not in kept]
        ready: Ready | UnreadyError = UnreadyError("nothing is wanted")
        try:
            ready = prepare(wanted, options, store, told, estimate) if wanted else ready
        except UnreadyError as error:
            ready = error
        for one in mine:
            if one.key in kept:
                there = kept[one.key]
                if there is not None:
                    tell(there, True)
                continue
            began = time.perf_counter()
            record = bench.record(one, ready)
            estimate.measured(one, time.perf_counter() - began)
            tell(record, False)
    return records


def finished(
    planned: Sequence[Planned],
    measurements: Measurements,
    options: Options,
    overwrite: Overwrite,
    *,
    keep: bool = True,
) -> dict[str, LatencyRecord | None]:
    """The cells of which nothing has to be measured, by key, with verdicts against the limit.

    With ``keep``, records whose limit or verdict changes by it are stored so.

    None stands for a file that is damaged and must not be overwritten. A stored interval decides
    for any limit; only what is undecided and has time left is measured on.
    """
    found: dict[str, LatencyRecord | None] = {}
    for one in planned:
        record = measurements.read(one.key)
        if record is None or overwrite == "always":
            continue
        if not isinstance(record, LatencyRecord) or record.result is None:
            if overwrite == "never":
                found[one.key] = record if isinstance(record, LatencyRecord) else None
            continue
        if overwrite == "never" or not worth_another(record.result, options.limit, options.budget):
            judged = _judged(record, options.limit)
            if keep and judged != record:
                measurements.write(judged)
            found[one.key] = judged
    return found


def worth_another(result: LatencyResult, limit: float, budget: float) -> bool:
    """Whether one more process is needed and fits into the budget, in seconds.

    It is needed while the verdict is undecided. With few processes an interval knows little of
    the variation between them, so near the limit a verdict takes :data:`SEVERAL` of them.
    """
    near = abs(result.ratio.estimate - limit) < NEAR * limit and result.processes < SEVERAL
    if verdict(result.ratio, limit) != "undecided" and not near:
        return False
    return result.seconds * (1 + 1 / result.processes) <= budget


def _judged(record: LatencyRecord, limit: float) -> LatencyRecord:
    if record.result is None:
        return record
    judged = verdict(record.result.ratio, limit)
    return record.model_copy(update={"limit": limit, "verdict": judged})


@dataclass
class _Bench:
    """Measures one cell after another."""

    options: Options
    measurements: Measurements
    command: str
    launcher: Launch
    overwrite: Overwrite
    delay_us: float

    def record(self, planned: Planned, ready: Ready | UnreadyError) -> LatencyRecord:
        """Measure a cell and keep its record."""
        load = os.getloadavg()
        processes: list[Observed] = []
        index: Index | None = None
        result: LatencyResult | None = None
        reason: str | None = None
        try:
            if isinstance(ready, UnreadyError):
                raise ready
            index = ready.index(planned)
            processes = self._earlier(planned, index)
            result = self._measured(planned, ready, index, processes)
        except (UnreadyError, ProcessError) as error:
            reason = str(error)
        made = provenance.collect(self.command, load, "cpu")
        record = LatencyRecord(
            key=planned.key,
            identity=dict(planned.identity),
            status="ok" if result else "failed",
            reason=reason,
            cell=planned.cell,
            index=index.facts if index else None,
            limit=self.options.limit,
            verdict=verdict(result.ratio, self.options.limit) if result else None,
            result=result,
            provenance=made.model_copy(update={"threads": planned.cell.threads}),
        )
        self.measurements.write(record, observed.pack(processes) if result else None)
        return record

    def _earlier(self, planned: Planned, index: Index) -> list[Observed]:
        """Processes of an undecided record of this very index: it is measured on."""
        if self.overwrite == "always":
            return []
        found = self.measurements.read(planned.key)
        if not isinstance(found, LatencyRecord) or found.result is None:
            return []
        if found.index != index.facts:
            return []
        try:
            return observed.unpack(self.measurements.arrays(planned.key))
        except StoreError:
            return []  # the record's raw times are damaged: they are measured again

    def _measured(
        self, planned: Planned, ready: Ready, index: Index, processes: list[Observed]
    ) -> LatencyResult:
        """Add processes until the verdict is clear or the budget is spent."""
        while True:
            if len(processes) >= LEAST:
                result = observed.result(processes)
                if not worth_another(result, self.options.limit, self.options.budget):
                    return result
            processes.append(self._process(planned, ready, index, len(processes)))

    def _process(self, planned: Planned, ready: Ready, index: Index, number: int) -> Observed:
        cell, facts = planned.cell, index.facts
        job = Job(
            cell=cell,
            effort=facts.effort,
            index=index.folder,
            spec=facts.spec,
            base=ready.base,
            queries=ready.queries,
            student=ready.student,
            inputs=str(planned.given.path),
            seed=SEED,
            process=number,
            count=planned.count,
            rounds=self.options.rounds,
            warmup=planned.warmup,
            delay_us=self.delay_us,
        )
        began = time.perf_counter()
        content = self.launcher(job.model_dump_json(), environment.variables(cell.threads))
        return Observed.of(content, time.perf_counter() - began)
