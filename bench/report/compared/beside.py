"""What runs cost side by side, and what else is not the same in them.

``effort`` and ``costs`` are the frames of every run, of what the first run and another have;
``relative``: seconds, or the median search, over the same of the first run. Times compare machines
as well. A row of ``settings`` is a part of what decides the results that differs from the first
run, with the cells (task and method) it is so for, read from the identities of cells that both have
finished.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas
from pandas import DataFrame

from bench.records.differences import differing, said
from bench.report.compared import ComparedRun, CompareInputs
from bench.report.compared.differences import RUN
from bench.report.frame import typed
from bench.report.inputs import RunInputs
from bench.report.scores import OFF
from bench.report.section import METHOD, TASK, Column, Section, View
from bench.report.sections import cells, retrieval, training
from bench.report.sections.plain import grouped, labels, one_table
from bench.report.summary import number, size
from bench.report.table import EMPTY

OWN_OF_A_CALL = ("command", "load", "finished")
"""Facts that differ between any two calls; the table of runs has them."""


def _beside(inputs: CompareInputs, section: Section[RunInputs], figure: str) -> DataFrame:
    """A section's rows of all runs, where the first and another have one, with their ratio."""
    frames = [_placed(run, section) for run in inputs.runs if len(run.frame(section))]
    if not frames:
        return typed(())
    whole = pandas.concat(frames, ignore_index=True)
    groups = whole.groupby("at", sort=False)
    before = groups[figure].transform("first")
    whole["relative"] = whole[figure] / before.where(before > 0)
    runs = groups["run"]
    shared = (runs.transform("first") == inputs.first.name) & (runs.transform("size") > 1)
    order = groups.ngroup()[shared].sort_values(kind="stable").index
    return whole.loc[order].drop(columns="at").reset_index(drop=True)


def _placed(run: ComparedRun, section: Section[RunInputs]) -> DataFrame:
    """The frame of a run with the column of every row, whatever its run calls the index."""
    frame = run.frame(section)
    places = {(at[0], at[1], name): at for at, (name, _) in run.columns.items()}
    names = frame["index"] if "index" in frame else [OFF] * len(frame)
    rows = zip(frame["task"], frame["method"], names, strict=True)
    return frame.assign(run=run.name, at=[places[row] for row in rows])


def _costs(inputs: CompareInputs) -> DataFrame:
    frame = _beside(inputs, retrieval.COSTS, "search_us_p50")
    whole = {str(name): f"cost.{name}" for name in frame if name not in ("run", "relative")}
    return frame.rename(columns=whole)


def _effort_views(frame: DataFrame, inputs: CompareInputs) -> Iterator[View]:
    columns = (
        *(TASK, METHOD, RUN),
        Column("n", "n"),
        Column("seconds", "seconds", number),
        Column(f"/ {inputs.first.name}", "relative", "{:.2f} x".format),
        Column("examples/s", "examples_per_second", number),
        Column("peak memory", "peak_bytes", size),
    )
    note = (
        "Medians over n seeds: training loop of the student, whole process for the memory. "
        "Runs of different machines, or of a busy one, compare those and not the methods."
    )
    return one_table("Cost of training", columns, (note,))(frame, inputs)


def _cost_views(frame: DataFrame, inputs: CompareInputs) -> Iterator[View]:
    columns = (
        Column("task", "cost.title", label=True),
        *(Column(name, f"cost.{name}", label=True) for name in ("method", "index")),
        RUN,
        Column("entries", "cost.entries", "{:,.0f}".format),
        Column("KB size", "cost.kb_bytes", size),
        Column("index size", "cost.index_bytes", size),
        Column("build s", "cost.build_seconds", number),
        Column("search µs p50", "cost.search_us_p50", number),
        Column(f"/ {inputs.first.name}", "relative", "{:.2f} x".format),
        Column("search µs p95", "cost.search_us_p95", number),
    )
    note = "Medians over seeds. Search: one query, one thread, index call only, in a hot loop."
    return one_table("Cost of retrieval", columns, (note,))(frame, inputs)


def _settings(inputs: CompareInputs) -> DataFrame:
    first = dict(inputs.first.records)
    cells = grouped(
        (
            (run.name, change.path, said(change.one), said(change.other)),
            f"{record.task} {record.method}",
        )
        for run in inputs.others
        for place, record in run.records
        if place in first and first[place].key != record.key
        for change in differing(record.identity, first[place].identity)
    )
    names = ("run", "setting", "here", "there")
    return typed(
        {**dict(zip(names, where, strict=True)), "cells": list(dict.fromkeys(names_of_cells))}
        for where, names_of_cells in cells.items()
    )


def _setting_views(frame: DataFrame, inputs: CompareInputs) -> Iterator[View]:
    columns = (
        *labels("setting", "run"),
        Column("value", "here", label=True),
        Column(f"value in {inputs.first.name}", "there", label=True),
        Column("cells", "cells", ", ".join, label=True),
    )
    note = (
        "Of what decides the results of cells that both runs have. A difference of scores may come "
        "from any of them."
    )
    return one_table("Settings that differ", columns, (note,))(frame, inputs)


def _runs(inputs: CompareInputs) -> DataFrame:
    """Each run in a row: how much of it there is, made when, by what."""
    return typed(
        {
            "run": run.name,
            "ok": sum(cell.status == "ok" for cell in run.results.cells),
            "planned": len(run.results.cells),
            "finished": "; ".join(run.facts.get("finished", ())),
            "command": run.results.run.get("command"),
        }
        for run in inputs.runs
    )


RUN_COLUMNS = (
    RUN,
    Column("cells ok", lambda row: f"{row.ok} of {row.planned}", label=True),
    *labels("finished", "command"),
)


def _machines(inputs: CompareInputs) -> DataFrame:
    """A row per fact that is not the same in all runs, with its value in each of them."""
    facts = [_facts(run) for run in inputs.runs]
    names = dict.fromkeys(name for facts_of_run in facts for name in facts_of_run)
    values = {
        name: [" / ".join(facts_of_run.get(name, ())) or EMPTY for facts_of_run in facts]
        for name in names
    }
    return typed(
        {"what": name, "values": facts_of_run}
        for name, facts_of_run in values.items()
        if len(set(facts_of_run)) > 1
    )


def _facts(run: ComparedRun) -> dict[str, list[str]]:
    """Facts of a run, every package by itself."""
    hidden = (*OWN_OF_A_CALL, "packages")
    kept = {name: values for name, values in run.facts.items() if name not in hidden}
    packages = [record.provenance.packages.items() for record in run.results.records]
    versions = grouped(sorted({pair for versions_of_run in packages for pair in versions_of_run}))
    return kept | versions


def _machine_views(frame: DataFrame, inputs: CompareInputs) -> Iterator[View]:
    runs = (
        Column(run.name, lambda row, at=at: row.values[at], label=True)  # type: ignore[misc]
        for at, run in enumerate(inputs.runs)
    )
    note = "Several values in one run are divided by a slash."
    title = "Machines and versions that differ"
    return one_table(title, (*labels("what"), *runs), (note,))(frame, inputs)


EFFORT: Section[CompareInputs] = Section(
    "effort",
    "Cost of training",
    lambda inputs: _beside(inputs, training.EFFORT, "seconds"),
    _effort_views,
)
COSTS = Section("costs", "Cost of retrieval", _costs, _cost_views)
SETTINGS = Section("settings", "Settings", _settings, _setting_views)
RUNS = Section("runs", "Runs", _runs, one_table("Runs", RUN_COLUMNS), about=True, data=False)
MACHINES = Section(
    "machines", "Runs", _machines, _machine_views, under="runs", about=True, data=False
)
FILES: Section[CompareInputs] = Section(
    "unusable-files",
    "Cells",
    lambda inputs: typed(
        {"run": run, "file": problem.path.name, "reason": problem.reason}
        for run, problem in inputs.problems
    ),
    one_table("Unusable files", (RUN, *cells.FILE_COLUMNS)),
    under="cells",
    about=True,
)
