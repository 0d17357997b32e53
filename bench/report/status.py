"""What became of every planned cell; nothing that failed is left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import get_args

from bench.records.store import Problem
from bench.report.results import Results, Status
from bench.report.table import EMPTY, Table

STATUSES: tuple[Status, ...] = get_args(Status)
KINDS = ("training", "retrieval", "control")


@dataclass(frozen=True)
class CellStatus:
    """One planned cell."""

    key: str
    kind: str
    task: str
    method: str
    index: str | None
    seed: int
    status: Status
    reason: str


def statuses(results: Results) -> list[CellStatus]:
    """All cells, in the order of the plan."""
    return [
        CellStatus(
            key=cell.plan.key,
            kind=cell.plan.kind,
            task=cell.plan.task,
            method=cell.plan.method,
            index=results.index_name(cell.plan) if cell.plan.backend else None,
            seed=cell.plan.seed,
            status=cell.status,
            reason=cell.reason,
        )
        for cell in results.cells
    ]


def count_table(found: list[CellStatus]) -> Table:
    """Counts by kind and status."""
    counts = Counter((cell.kind, cell.status) for cell in found)
    rows = tuple(
        (
            kind,
            str(sum(cell.kind == kind for cell in found)),
            *(str(counts[kind, status]) for status in STATUSES),
        )
        for kind in KINDS
        if kind != "control" or any(cell.kind == kind for cell in found)
    )
    missing = any(cell.status == "missing" for cell in found)
    notes = ("missing: the run is still going on, or the same command resumes it.",)
    return Table("Status of cells", ("kind", "cells", *STATUSES), rows, 1, notes if missing else ())


def trouble_table(found: list[CellStatus]) -> Table | None:
    """Every cell that is not ok with the reason, or None if all are."""
    rows = tuple(
        (
            cell.kind,
            cell.task,
            cell.method,
            cell.index or EMPTY,
            str(cell.seed),
            cell.status,
            cell.reason or EMPTY,
            cell.key,
        )
        for cell in found
        if cell.status != "ok"
    )
    columns = ("kind", "task", "method", "index", "seed", "status", "reason", "key")
    notes = ("A failed cell's traceback is in cells/<key>.json.",)
    failed = any(cell.status == "failed" for cell in found)
    title = "Cells that are not ok"
    return Table(title, columns, rows, len(columns), notes if failed else ()) if rows else None


def file_table(problems: tuple[Problem, ...]) -> Table | None:
    """Files that could not be used, or None."""
    rows = tuple((problem.path.name, " ".join(problem.reason.split())) for problem in problems)
    return Table("Unusable files", ("file", "reason"), rows, 2) if rows else None
