"""What became of every planned cell; nothing that failed is left out.

A row per planned cell with its ``status`` and, unless it is ok, the ``reason``. The counts of a
run stand before it in the same part of the report, files that could not be used behind it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, get_args

from bench.records.results import Status
from bench.report.frame import Row, rows, typed
from bench.report.inputs import MeasuredInputs, RunInputs
from bench.report.section import Column, Section, View

if TYPE_CHECKING:
    from pandas import DataFrame

STATUSES: tuple[Status, ...] = get_args(Status)
KINDS = ("training", "retrieval", "control")


def _counts(inputs: RunInputs) -> DataFrame:
    """Cells by kind and status."""
    cells = inputs.results.cells
    counts = Counter((str(cell.plan.kind), cell.status) for cell in cells)
    numbers = {kind: {status: counts[kind, status] for status in STATUSES} for kind in KINDS}
    return typed(
        {"kind": kind, "cells": sum(own.values()), **own}
        for kind, own in numbers.items()
        if kind != "control" or any(own.values())
    )


def _count_views(frame: DataFrame, _: RunInputs) -> Iterator[View]:
    notes = ("missing: the run is still going on, or the same command resumes it.",)
    columns = [Column(name, name) for name in ("cells", *STATUSES)]
    yield View(
        "Status of cells",
        (Column("kind", "kind", label=True), *columns),
        notes if frame["missing"].any() else (),
    )


def _rows(inputs: RunInputs) -> DataFrame:
    """All cells, in the order of the plan."""
    results = inputs.results
    return typed(
        {
            "key": cell.plan.key,
            "kind": cell.plan.kind,
            "task": cell.plan.task,
            "method": cell.plan.method,
            "index": results.index_name(cell.plan) if cell.plan.backend else None,
            "seed": cell.plan.seed,
            "status": cell.status,
            "reason": cell.reason,
        }
        for cell in results.cells
    )


def _views(frame: DataFrame, _: RunInputs) -> Iterator[View]:
    """Every cell that is not ok."""
    statuses = {row.status for row in rows(frame)}
    names = ("kind", "task", "method", "index", "seed", "status", "reason", "key")
    if statuses - {"ok"}:
        yield View(
            "Cells that are not ok",
            tuple(Column(name, name, label=True) for name in names),
            ("A failed cell's traceback is in cells/<key>.json.",) if "failed" in statuses else (),
            where=_is_not_ok,
        )


def _is_not_ok(row: Row) -> bool:
    return bool(row.status != "ok")


def _files(inputs: RunInputs | MeasuredInputs) -> DataFrame:
    """Files that could not be used; of a run those that its other sections read."""
    return typed({"file": one.path.name, "reason": one.reason} for one in inputs.problems)


def _file_views(frame: DataFrame, _: RunInputs | MeasuredInputs) -> Iterator[View]:
    if len(frame):
        file, reason = Column("file", "file", label=True), Column("reason", _in_a_line, label=True)
        yield View("Unusable files", (file, reason))


def _in_a_line(row: Row) -> str:
    return " ".join(row.reason.split())


COUNTS = Section("counts", "Cells", _counts, _count_views, under="cells", about=True, data=False)
SECTION = Section("cells", "Cells", _rows, _views, about=True)
FILES: Section[RunInputs | MeasuredInputs] = Section(
    "unusable-files", "Cells", _files, _file_views, under="cells", about=True
)
