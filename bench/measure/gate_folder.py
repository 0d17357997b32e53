"""The cells that a gate reads: a folder of ``bench latency``, with what is missing from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.records.measurement import LatencyRecord
from bench.records.measurements import Kind, Measurements, PlanFile
from bench.records.store import Problem
from reaugkd.errors import UserError


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    Attributes:
        records: every latency record, planned cells first, in the order of the plan.
        problems: files that could not be used, and planned cells without a record.
        notes: what to know about the folder.
    """

    records: tuple[LatencyRecord, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def read(folder: Path) -> Found:
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
    plan, memory = _plan(store, "latency", problems), _plan(store, "memory", problems)
    records = {record.key: record for record in cells if isinstance(record, LatencyRecord)}
    if memory is not None:
        problems = [file for file in problems if file.path.stem not in memory.cells]
    order = list(plan.cells) if plan is not None else []
    planned = [records.pop(key) for key in order if key in records]
    if plan is not None:
        problems += _missing(store, plan, {record.key for record in planned}, problems)
    return Found((*planned, *records.values()), tuple(problems), tuple(_notes(plan, len(records))))


def _plan(store: Measurements, kind: Kind, problems: list[Problem]) -> PlanFile | None:
    plan = store.read_plan(kind)
    if isinstance(plan, Problem):
        if kind == "latency":
            problems.append(plan)
        return None
    return plan


def _missing(
    store: Measurements, plan: PlanFile, measured: set[str], problems: list[Problem]
) -> Iterator[Problem]:
    named = measured | {problem.path.stem for problem in problems}
    for key, label in plan.cells.items():
        if key not in named:
            yield Problem(store.cells / f"{key}.json", f"planned, never measured: {label}")


def _notes(plan: PlanFile | None, others: int) -> Iterator[str]:
    if plan is None:
        yield "The folder has no plan: cells that were never measured cannot be missed."
    elif others:
        yield f"{others} of the cells are not of the folder's last plan."
