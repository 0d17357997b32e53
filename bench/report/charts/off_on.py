"""Every method without retrieval and with it, on one line: what a knowledge base changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.report.charts.form import Axis, Mark, picture
from bench.report.charts.names import Named
from bench.report.charts.seeds import ALONE, WITH
from bench.report.charts.spread import figure, spread
from bench.report.frame import Row, rows
from bench.report.section import Picture

if TYPE_CHECKING:
    from pandas import DataFrame

CONTROLS = ("majority class", "teacher")
"""Of other orders of size: beside them no method could be told from another."""


def pictures(frame: DataFrame) -> Iterator[Picture]:
    """A panel per task and test split, of the frame of off and on; none without retrieval."""
    lines = (row for row in rows(frame) if row.method not in CONTROLS)
    marks = [mark for row in lines for mark in _marks(row)]
    if any(mark["series"] == WITH for mark in marks):
        note = "Test split, means over seeds; with retrieval: behind the first index of the plan."
        form = Named(Axis("{metric}, points"))
        yield picture("off-on", "Every method without and with retrieval", marks, form, (note,))


def _marks(row: Row) -> Iterator[Mark]:
    at = {"panel": row.header, "y": row.method, "task": row.task, "method": row.method}
    at["metric"] = row.metric
    off, on = spread(row.off).mean, spread(row.on).mean
    if off is not None:
        text = f"{row.method}: {figure(off)}"
        yield {**at, "x": off, "start": None, "series": ALONE, "text": text}
    if on is not None:
        gain = "" if off is None else f", {on - off:+z.2f} points"
        text = f"{row.method} behind {row.index}: {figure(on)}{gain}"
        yield {**at, "x": on, "start": off, "series": WITH, "text": text}
