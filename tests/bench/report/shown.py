"""Rows and tables of a section, as tests look at them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pandas import DataFrame

from bench.records.results import Results, load
from bench.records.run import Record
from bench.report import build
from bench.report.document import Report
from bench.report.frame import Row, rows
from bench.report.inputs import ReportInputs, RunInputs
from bench.report.section import Section
from bench.report.table import Table
from tests.bench.report import factory

RunSection = Section[RunInputs]


def inputs(folder: Path, records: Iterable[Record], baseline: str | None = None) -> RunInputs:
    """A run of finished cells without outputs."""
    return RunInputs(factory.results(folder, records), baseline)


def answered(folder: Path, found: Iterable[factory.Kept], baseline: str | None = None) -> RunInputs:
    """A run with what every student answered."""
    return RunInputs(load(factory.kept(folder, found)), baseline)


def report(results: Results) -> Report:
    """The report of a run."""
    return build.of_run(RunInputs(results))


def lines(section: Section[Any], run: ReportInputs) -> list[Row]:
    """The rows of a section."""
    return rows(run.frame(section))


def titled(section: Section[Any], run: ReportInputs) -> dict[str, Table]:
    """Title -> table."""
    return of_frame(section, run.frame(section), run)


def of_frame(section: Section[Any], frame: DataFrame, run: Any = None) -> dict[str, Table]:
    """Title -> table of some frame."""
    return {view.title: view.table(frame) for view in section.views(frame, run)}


def tables(section: Section[Any], run: ReportInputs) -> list[Table]:
    """The tables of a section."""
    return list(titled(section, run).values())


def column(table: Table, title: str) -> list[str]:
    """The cells of a column."""
    at = table.columns.index(title)
    return [row[at] for row in table.rows]


def cells(table: Table) -> list[dict[str, str]]:
    """Column -> cell, for every line."""
    return [dict(zip(table.columns, line, strict=True)) for line in table.rows]


def notes(section: Section[Any], run: ReportInputs) -> str:
    """All that stands below the tables of a section."""
    return " ".join(note for table in tables(section, run) for note in table.notes)
