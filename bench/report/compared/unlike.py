"""What else is not the same in two runs: settings, machines and versions, unusable files.

A row of ``settings`` is a part of what decides the results that differs from the first run, with
the cells (task and method) it is so for, read from the identities of cells that both have finished.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bench.records.differences import differing, said
from bench.records.run import Record
from bench.report import origin
from bench.report.compared.differences import RUN
from bench.report.compared.inputs import CompareInputs
from bench.report.frame import typed
from bench.report.section import Column, Section, View
from bench.report.table import EMPTY

if TYPE_CHECKING:
    from pandas import DataFrame

OWN_OF_A_CALL = ("command", "load", "finished")
"""Facts that differ between any two calls; the table of runs has them."""


def _settings(inputs: CompareInputs) -> DataFrame:
    cells: dict[tuple[str, str, str, str], dict[str, None]] = {}
    first = {(at, seed): record for at, seed, record in inputs.first.records}
    for run in inputs.others:
        for at, seed, record in run.records:
            before = first.get((at, seed))
            if before is None or before.key == record.key:
                continue
            for one in differing(record.identity, before.identity):
                where = (run.name, one.path, said(one.one), said(one.other))
                cells.setdefault(where, {})[f"{record.task} {record.method}"] = None
    names = ("run", "setting", "here", "there")
    return typed(
        {**dict(zip(names, where, strict=True)), "cells": list(own)} for where, own in cells.items()
    )


def _setting_views(frame: DataFrame, inputs: CompareInputs) -> Iterator[View]:
    if len(frame):
        yield View(
            "Settings that differ",
            (
                Column("setting", "setting", label=True),
                RUN,
                Column("value", "here", label=True),
                Column(f"value in {inputs.first.name}", "there", label=True),
                Column("cells", "cells", ", ".join, label=True),
            ),
            (
                "Of what decides the results of cells that both runs have. A difference of scores "
                "may come from any of them.",
            ),
        )


def _runs(inputs: CompareInputs) -> DataFrame:
    """Each run in a row: how much of it there is, made when, by what."""
    return typed(
        {
            "run": run.name,
            "ok": sum(cell.status == "ok" for cell in run.results.cells),
            "planned": len(run.results.cells),
            "finished": "; ".join(origin.facts(run.results.records).get("finished", ())),
            "command": run.results.run.get("command"),
        }
        for run in inputs.runs
    )


def _run_views(_: DataFrame, __: CompareInputs) -> Iterator[View]:
    yield View(
        "Runs",
        (
            RUN,
            Column("cells ok", lambda row: f"{row.ok} of {row.planned}", label=True),
            Column("finished", "finished", label=True),
            Column("command", "command", label=True),
        ),
    )


def _machines(inputs: CompareInputs) -> DataFrame:
    """A row per fact that is not the same in all runs, with its value in each of them."""
    facts = [_facts(run.results.records) for run in inputs.runs]
    names = dict.fromkeys(name for own in facts for name in own)
    values = {name: [" / ".join(own.get(name, ())) or EMPTY for own in facts] for name in names}
    return typed({"what": name, "values": own} for name, own in values.items() if len(set(own)) > 1)


def _machine_views(frame: DataFrame, inputs: CompareInputs) -> Iterator[View]:
    if len(frame):
        runs = (
            Column(run.name, lambda row, at=at: row.values[at], label=True)  # type: ignore[misc]
            for at, run in enumerate(inputs.runs)
        )
        notes = ("Several values in one run are divided by a slash.",)
        title = "Machines and versions that differ"
        yield View(title, (Column("what", "what", label=True), *runs), notes)


def _facts(records: Sequence[Record]) -> dict[str, list[str]]:
    """Facts of a run, every package by itself."""
    facts = origin.facts(records)
    kept = {n: values for n, values in facts.items() if n not in (*OWN_OF_A_CALL, "packages")}
    versions: dict[str, set[str]] = {}
    for record in records:
        for name, version in record.provenance.packages.items():
            versions.setdefault(name, set()).add(version)
    return kept | {name: sorted(versions[name]) for name in sorted(versions)}


def _files(inputs: CompareInputs) -> DataFrame:
    return typed(
        {"run": run, "file": one.path.name, "reason": one.reason} for run, one in inputs.problems
    )


def _file_views(frame: DataFrame, _: CompareInputs) -> Iterator[View]:
    if len(frame):
        reason = Column("reason", lambda row: " ".join(row.reason.split()), label=True)
        yield View("Unusable files", (RUN, Column("file", "file", label=True), reason))


SETTINGS = Section("settings", "Settings", _settings, _setting_views)
RUNS = Section("runs", "Runs", _runs, _run_views, about=True, data=False)
MACHINES = Section(
    "machines", "Runs", _machines, _machine_views, under="runs", about=True, data=False
)
FILES = Section("unusable-files", "Cells", _files, _file_views, under="cells", about=True)
