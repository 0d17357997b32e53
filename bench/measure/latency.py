"""Latency cells: planned at once, then measured one at a time, each in processes of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.executors import Overwrite
from bench.measure.cell import LatencyCell
from bench.measure.options import Options
from bench.measure.record import LatencyRecord
from bench.measure.results import Measurements
from reaugkd.artifacts import ArtifactStore
from reaugkd.reporter import Reporter


@dataclass(frozen=True)
class Done:
    """A cell that has just ended.

    Attributes:
        record: what came out.
        reused: whether it was there already.
        number, total: its place among all planned cells, from 1.
        left: estimated seconds until all are done.
    """

    record: LatencyRecord
    reused: bool
    number: int
    total: int
    left: float


def measure(
    options: Options,
    measurements: Measurements,
    store: ArtifactStore,
    *,
    command: str,
    overwrite: Overwrite = "missing",
    reporter: Reporter | None = None,
    done: Callable[[Done], None] | None = None,
) -> list[LatencyRecord]:
    """Measure what is not there yet; the records of all planned cells, in the order of the plan.

    Verdicts are against ``options.limit``, also of records that were there already. A cell that
    cannot be measured is a record too, failed with the reason.

    Raises:
        UserError: for a mistake in the options, before any work starts.
    """
    raise NotImplementedError
