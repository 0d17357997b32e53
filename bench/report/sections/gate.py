"""The history of a gate: a row per cell and call, as its file has them.

Its table has a line per cell and machine, with the course of the overhead as a sparkline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pandas import DataFrame

from bench.measure.gate import percent
from bench.measure.history import HistoryEntry
from bench.records.measurement import LatencyCell
from bench.report.charts import gate as chart
from bench.report.frame import Row, typed
from bench.report.gate import interval
from bench.report.inputs import MeasuredInputs
from bench.report.section import Column, Section
from bench.report.sections.plain import one_table
from bench.report.table import EMPTY

BARS = "▁▂▃▄▅▆▇█"
GAP = "·"
"""A call at which nothing was measured."""

LAST = 24
"""Calls that a sparkline shows."""

FIGURES = 3
"""Calls whose figures stand beside it."""


def of_entries(entries: Iterable[HistoryEntry]) -> DataFrame:
    """The frame of some entries."""
    return typed({**dict(entry), "label": entry.cell.label} for entry in entries)


def sparkline(values: Sequence[float | None]) -> str:
    """One character per value: height from zero to the largest, a gap for None.

    >>> sparkline([0.01, 0.02, None, 0.04])
    '▂▄·█'
    """
    most = max((value for value in values if value is not None), default=0.0)
    heights = (
        None if v is None else round(v / most * len(BARS)) if most > 0 else 0 for v in values
    )
    return "".join(GAP if h is None else BARS[max(0, h - 1)] for h in heights)


def _calls(row: Row) -> list[Row]:
    """The calls of a line, oldest first; a row that stands in none is one call."""
    return sorted(getattr(row, "group", (row,)), key=lambda call: str(call.time))


def _ratios(row: Row) -> list[float | None]:
    return [call.ratio.estimate if call.ratio else None for call in _calls(row)]


def _last(value: Callable[[Row], Any]) -> Callable[[Row], Any]:
    return lambda row: value(_calls(row)[-1])


def _cell(row: Row) -> str:
    return f"{row.label} threads {row.cell.threads} {row.cell.lengths} {row.cell.student}"


def _figures(ratios: Sequence[float | None]) -> str:
    return ", ".join(
        EMPTY if ratio is None else f"{100 * ratio:.2f}%" for ratio in ratios[-FIGURES:]
    )


COLUMNS = (
    Column("cell", _cell, label=True),
    Column("machine", lambda row: f"{row.cpu}, {row.cores} cores", label=True),
    Column("course", lambda row: sparkline(_ratios(row)[-LAST:]), label=True),
    Column("verdict", _last(lambda call: call.verdict), label=True),
    Column("calls", lambda row: len(row.group)),
    Column(f"last {FIGURES}", _ratios, _figures),
    Column("last interval", _last(lambda call: call.ratio), interval),
    Column("limit", _last(lambda call: call.limit), percent),
    Column("commit", _last(lambda call: (call.commit or EMPTY) + "+" * bool(call.dirty))),
    Column("date", _last(lambda call: call.time[:10])),
)
NOTE = (
    f"course: overhead of the last {LAST} calls, oldest first; a bar's height is its share of "
    f"the row's largest. {GAP} nothing was measured."
)
CELL = tuple(name for name in LatencyCell.model_fields if name not in ("reduction", "runtime"))
SERIES = (*(f"cell.{name}" for name in CELL), "label", "cpu", "cores")
"""Fields on which the calls of one line agree; the label tells the reduction and the runtime."""

SECTION: Section[MeasuredInputs] = Section(
    "gate",
    "History of the gate",
    lambda inputs: of_entries(inputs.past),
    one_table("History of the gate", COLUMNS, (NOTE,), by=SERIES),
    pictures=lambda _, inputs: chart.pictures(inputs.past),
)
