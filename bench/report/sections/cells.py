"""What became of every planned cell, and where the figures come from.

A row of ``cells`` per planned cell with its ``status`` and, unless it is ok, the ``reason``:
nothing that failed is left out. The counts of a run stand before it in the same part of the report,
files that could not be used behind it. A row of ``provenance`` per distinct value of a fact; in
JSON the facts stand as they are, each with its list of values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import get_args

from pandas import DataFrame

from bench.records.results import Status
from bench.report.frame import rows, typed
from bench.report.inputs import MeasuredInputs, RunInputs
from bench.report.section import Column, Section, View
from bench.report.sections.plain import labels, one_table

AnyInputs = RunInputs | MeasuredInputs

STATUSES: tuple[Status, ...] = get_args(Status)
KINDS = ("training", "retrieval", "control")


def _counts(inputs: RunInputs) -> DataFrame:
    """Cells by kind and status."""
    counts = Counter((str(cell.plan.kind), cell.status) for cell in inputs.results.cells)
    numbers = {kind: {status: counts[kind, status] for status in STATUSES} for kind in KINDS}
    return typed(
        {"kind": kind, "cells": sum(counted.values()), **counted}
        for kind, counted in numbers.items()
        if kind != "control" or any(counted.values())
    )


def _count_views(frame: DataFrame, _: RunInputs) -> Iterator[View]:
    note = "missing: the run is still going on, or the same command resumes it."
    columns = (*labels("kind"), *(Column(name, name) for name in ("cells", *STATUSES)))
    yield View("Status of cells", columns, (note,) if frame["missing"].any() else ())


def _rows(inputs: RunInputs) -> DataFrame:
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
    if statuses - {"ok"}:
        yield View(
            "Cells that are not ok",
            labels("kind", "task", "method", "index", "seed", "status", "reason", "key"),
            ("A failed cell's traceback is in cells/<key>.json.",) if "failed" in statuses else (),
            where=lambda row: bool(row.status != "ok"),
        )


def _files(inputs: AnyInputs) -> DataFrame:
    """Files that could not be used; of a run those that its other sections read."""
    return typed(
        {"file": problem.path.name, "reason": problem.reason} for problem in inputs.problems
    )


FILE_COLUMNS = (
    *labels("file"),
    Column("reason", lambda row: " ".join(row.reason.split()), label=True),
)


def _facts(inputs: AnyInputs) -> DataFrame:
    return typed(
        {"what": what, "value": value}
        for what, values in inputs.facts.items()
        for value in values
        if value
    )


COUNTS = Section("counts", "Cells", _counts, _count_views, under="cells", about=True, data=False)
SECTION = Section("cells", "Cells", _rows, _views, about=True)
FILES: Section[AnyInputs] = Section(
    "unusable-files",
    "Cells",
    _files,
    one_table("Unusable files", FILE_COLUMNS),
    under="cells",
    about=True,
)
PROVENANCE: Section[AnyInputs] = Section(
    "provenance",
    "Provenance",
    _facts,
    one_table("Provenance", labels("what", "value")),
    about=True,
    data=False,
)
