"""Rows and tables of a section, as tests look at them."""

from __future__ import annotations

from typing import Any

from pandas import DataFrame

from bench.report.frame import Row, rows
from bench.report.inputs import Inputs
from bench.report.section import Section
from bench.report.table import Table


def lines(section: Section[Any], inputs: Inputs) -> list[Row]:
    """The rows of its frame."""
    return rows(inputs.frame(section))


def tables(section: Section[Any], inputs: Inputs) -> dict[str, Table]:
    """Title -> table."""
    return of_frame(section, inputs.frame(section), inputs)


def of_frame(section: Section[Any], frame: DataFrame, inputs: Any = None) -> dict[str, Table]:
    """Title -> table of some frame."""
    return {view.title: view.table(frame) for view in section.views(frame, inputs)}


def column(table: Table, title: str) -> list[str]:
    """The cells of a column."""
    at = table.columns.index(title)
    return [row[at] for row in table.rows]
