"""Sections of a run as rows and tables."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bench.records.results import load
from bench.records.run import Record
from bench.report.frame import Row, rows
from bench.report.inputs import RunInputs
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


def lines(section: RunSection, run: RunInputs) -> list[Row]:
    """The rows of a section."""
    return rows(run.frame(section))


def tables(section: RunSection, run: RunInputs) -> list[Table]:
    """The tables of a section."""
    frame = run.frame(section)
    return [view.table(frame) for view in section.views(frame, run)]


def cells(table: Table) -> list[dict[str, str]]:
    """Column -> cell, for every line."""
    return [dict(zip(table.columns, line, strict=True)) for line in table.rows]


def notes(section: RunSection, run: RunInputs) -> str:
    """All that stands below the tables of a section."""
    return " ".join(note for table in tables(section, run) for note in table.notes)
