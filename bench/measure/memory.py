"""Memory cells: one knowledge base in one backend, each read in a process of its own.

Four rulers, because none is right alone: the backend's formula, the bytes on disk (a lower bound of
what must be read), the growth of anonymous memory in a process that loads the saved index and
answers queries, and the peak on the way. Mapped file pages are told apart: they can be reclaimed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

from bench.executors.pool import Overwrite
from bench.measure.memory_plan import plan
from bench.measure.meter import WORKER, Meter
from bench.measure.options import Options
from bench.measure.process import Launcher
from bench.records.measurement import MemoryRecord
from bench.records.measurements import Measurements, PlanFile
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.reporter import Reporter


@dataclass(frozen=True)
class Done:
    """A cell that has just ended; ``number`` of ``total`` planned ones, from 1."""

    record: MemoryRecord
    reused: bool
    number: int
    total: int


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
            found = measurements.read(one.key)
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
