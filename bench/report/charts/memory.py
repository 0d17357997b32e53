"""Memory of a knowledge base against its size, backend by backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.report.charts.form import Axis, Mark, picture
from bench.report.charts.points import Points
from bench.report.frame import Row, rows
from bench.report.section import Picture

if TYPE_CHECKING:
    from pandas import DataFrame

MB = 1e6


def pictures(frame: DataFrame) -> Iterator[Picture]:
    """A line per backend, a panel per k; none where nothing was measured."""
    lines = [row for row in rows(frame) if row.resident is not None and row.resident > 0]
    lines.sort(key=lambda row: (row.k, row.backend != "exact", row.backend, row.size))
    if lines:
        form = Points(
            Axis("entries of the knowledge base", log=True),
            Axis("resident, MB", log=True),
            joined=True,
        )
        notes = ("Growth of anonymous memory and of mapped files, after load and queries.",)
        title = "Resident memory against the size of the knowledge base"
        yield picture("resident-memory", title, map(_mark, lines), form, notes)


def _mark(row: Row) -> Mark:
    size = f"{row.resident / MB:,.1f} MB"
    return {
        "panel": f"k {row.k}",
        "series": row.backend,
        "x": row.size,
        "y": row.resident / MB,
        "text": f"{row.base} ({row.size:,} x {row.dim}), {row.backend}: {size}",
        "base": row.base,
        "backend": row.backend,
        "k": row.k,
    }
