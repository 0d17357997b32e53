"""The cells that a gate reads: a folder of ``bench latency``, with what is missing from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench.records.measurement import LatencyRecord
from bench.records.measurements import Measurements, PlanFile
from bench.records.store import Problem
from reaugkd.errors import UserError


@dataclass(frozen=True)
class GateCells:
    """What a folder holds.

    Attributes:
        records: every latency record, planned cells first, in the order of the plan.
        problems: files that could not be used, and planned cells without a record.
        notes: what to know about the folder.
    """

    records: tuple[LatencyRecord, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def read(folder: Path) -> GateCells:
    """All latency cells below ``folder``.

    Those of earlier plans count as well: nothing that was measured there is hidden from the gate.
    A file that cannot be used counts unless the plan says that it is a memory cell.

    Raises:
        UserError: if it holds no measurements.
    """
    if not Measurements.at(folder):
        raise UserError(f"no measurements at {folder}: `bench latency --out {folder}` makes them")
    store = Measurements(folder)
    cells, problems = store.records()
    records = {record.key: record for record in cells if isinstance(record, LatencyRecord)}
    plan, memory = store.read_plan("latency"), store.read_plan("memory")
    if isinstance(memory, PlanFile):
        problems = [file for file in problems if file.path.stem not in memory.cells]
    if not isinstance(plan, PlanFile):
        note = "The folder has no plan: cells that were never measured cannot be missed."
        return GateCells((*records.values(),), (*problems, *filter(None, [plan])), (note,))
    planned = [records.pop(key) for key in plan.cells if key in records]
    named = {*(record.key for record in planned), *(file.path.stem for file in problems)}
    problems += [
        Problem(store.cells / f"{key}.json", f"planned, never measured: {label}")
        for key, label in plan.cells.items()
        if key not in named
    ]
    more = f"{len(records)} of the cells are not of the folder's last plan."
    return GateCells((*planned, *records.values()), tuple(problems), (more,) * bool(records))
