"""The history of a gate: a row per cell and call, as its file has them.

Its table has a line per cell and machine, with the course of the overhead as a sparkline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bench.measure.gate import percent
from bench.measure.history import HistoryEntry
from bench.records.latency_cell import LatencyCell
from bench.report.charts import gate as chart
from bench.report.frame import Row, typed
from bench.report.gate import interval
from bench.report.inputs import MeasuredInputs
from bench.report.section import Column, Section, View
from bench.report.table import EMPTY

if TYPE_CHECKING:
    from pandas import DataFrame

BARS = "▁▂▃▄▅▆▇█"
GAP = "·"
"""A call at which nothing was measured."""

LAST = 24
"""Calls that a sparkline shows."""

FIGURES = 3
"""Calls whose figures stand beside it."""


def _rows(inputs: MeasuredInputs) -> DataFrame:
    return of_entries(inputs.past)


def of_entries(entries: Iterable[HistoryEntry]) -> DataFrame:
    """The frame of some entries."""
    return typed({**dict(entry), "label": entry.cell.label} for entry in entries)


def sparkline(values: Sequence[float | None]) -> str:
    """One character per value: height from zero to the largest, a gap for None.

    >>> sparkline([0.01, 0.02, None, 0.04])
    '▂▄·█'
    """
    most = max((value for value in values if value is not None), default=0.0)
    return "".join(GAP if value is None else _bar(value, most) for value in values)


def _bar(value: float, most: float) -> str:
    if most <= 0:
        return BARS[0]
    return BARS[min(len(BARS) - 1, max(0, round(value / most * len(BARS)) - 1))]


def _calls(row: Row) -> list[Row]:
    """The calls of a line, oldest first; a row that stands in none is one call."""
    return sorted(getattr(row, "group", (row,)), key=lambda one: str(one.time))


def _ratios(row: Row) -> list[float | None]:
    return [one.ratio.estimate if one.ratio else None for one in _calls(row)]


def _of_last(value: Callable[[Row], Any]) -> Callable[[Row], Any]:
    return lambda row: value(_calls(row)[-1])


def _cell(row: Row) -> str:
    return f"{row.label} threads {row.cell.threads} {row.cell.lengths} {row.cell.student}"


def _commit(row: Row) -> str:
    return (row.commit or EMPTY) + ("+" if row.dirty else "")


def _figures(ratios: Sequence[float | None]) -> str:
    return ", ".join(EMPTY if one is None else f"{100 * one:.2f}%" for one in ratios[-FIGURES:])


COLUMNS = (
    Column("cell", _cell, label=True),
    Column("machine", lambda row: f"{row.cpu}, {row.cores} cores", label=True),
    Column("course", lambda row: sparkline(_ratios(row)[-LAST:]), label=True),
    Column("verdict", _of_last(lambda one: one.verdict), label=True),
    Column("calls", lambda row: len(row.group)),
    Column(f"last {FIGURES}", _ratios, _figures),
    Column("last interval", _of_last(lambda one: one.ratio), interval),
    Column("limit", _of_last(lambda one: one.limit), percent),
    Column("commit", _of_last(_commit)),
    Column("date", _of_last(lambda one: one.time[:10])),
)
NOTES = (
    f"course: overhead of the last {LAST} calls, oldest first; a bar's height is its share of "
    f"the row's largest. {GAP} nothing was measured.",
)
SERIES = (*(f"cell.{name}" for name in LatencyCell.model_fields), "cpu", "cores")
"""Fields on which the calls of one line agree."""


def _views(frame: DataFrame, _: MeasuredInputs) -> Iterator[View]:
    if len(frame):
        yield View("History of the gate", COLUMNS, NOTES, by=SERIES)


SECTION = Section(
    "gate",
    "History of the gate",
    _rows,
    _views,
    pictures=lambda _, inputs: chart.pictures(inputs.past),
)
