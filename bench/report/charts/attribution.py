"""What a gain of retrieval is made of: one change of the knowledge base at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.report.charts.form import Axis, Mark, picture
from bench.report.charts.names import Named
from bench.report.charts.spread import NOTE, spread
from bench.report.frame import Row, rows
from bench.report.section import Picture

if TYPE_CHECKING:
    from pandas import DataFrame

REFERENCE, NO_BASE = "reference", "no knowledge base"


def pictures(frame: DataFrame) -> Iterator[Picture]:
    """A panel per task, a row per change, a mark per method; none where nothing was changed."""
    lines = [row for row in rows(frame) if row.gain.mean is not None]
    if all(row.factor == REFERENCE for row in lines):
        return
    notes = [
        "Test split: score with that knowledge base, or that control, minus that of the same "
        "student alone. Shuffled labels and random keys must not help: a gain of retrieval begins "
        "above them."
    ]
    if any(row.gain.sd is not None for row in lines):
        notes.append(NOTE)
    form = Named(Axis("gain, points"))
    yield picture("attribution", "What the gain is made of", map(_mark, lines), form, notes)


def _mark(row: Row) -> Mark:
    gain, change = spread(row.gain), f"{row.factor}: {row.level}"
    short = {REFERENCE: REFERENCE, NO_BASE: row.level}.get(row.factor, change)
    ends = "" if gain.low is None else f" [{gain.low:+z.2f}, {gain.high:+z.2f}]"
    return {
        "panel": row.title,
        "y": short,
        "x": gain.mean,
        "low": gain.low,
        "high": gain.high,
        "rule": 0.0,
        "series": row.method,
        "text": f"{row.method}, {change}: {gain.mean:+z.2f} points{ends}, n = {row.n}",
        "task": row.task,
        "method": row.method,
        "factor": row.factor,
    }
