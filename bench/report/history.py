"""The history of a gate as a table: one row per cell and machine, its course as a sparkline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.measure.gate import percent
from bench.measure.history import HistoryEntry, series
from bench.report.gate import interval
from bench.report.table import EMPTY, Table

TITLE = "History of the gate"

BARS = "▁▂▃▄▅▆▇█"
GAP = "·"
"""A call at which nothing was measured."""

LAST = 24
"""Calls that a sparkline shows."""

FIGURES = 3
"""Calls whose figures stand beside it."""


def table(entries: Iterable[HistoryEntry]) -> Table:
    """One row per cell and machine, in the order in which they first appear."""
    rows = tuple(_row(one) for one in series(entries))
    columns = (
        "cell",
        "machine",
        "course",
        "verdict",
        "calls",
        f"last {FIGURES}",
        "last interval",
        "limit",
        "commit",
        "date",
    )
    notes = (
        f"course: overhead of the last {LAST} calls, oldest first; a bar's height is its share of "
        f"the row's largest. {GAP} nothing was measured.",
    )
    return Table(TITLE, columns, rows, labels=4, notes=notes if rows else ())


def _row(found: Sequence[HistoryEntry]) -> tuple[str, ...]:
    last, cell = found[-1], found[-1].cell
    ratios = [one.ratio.estimate if one.ratio is not None else None for one in found]
    return (
        f"{cell.label} threads {cell.threads} {cell.lengths} {cell.student}",
        f"{last.cpu}, {last.cores} cores",
        sparkline(ratios[-LAST:]),
        last.verdict,
        str(len(found)),
        ", ".join(EMPTY if one is None else f"{100 * one:.2f}%" for one in ratios[-FIGURES:]),
        interval(last.ratio),
        percent(last.limit),
        (last.commit or EMPTY) + ("+" if last.dirty else ""),
        last.time[:10],
    )


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
