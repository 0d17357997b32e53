"""The score at every beta and tau: how wide the good region is, and what held-out chose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.report.charts.by_k import behind_first
from bench.report.charts.form import Axis, Mark, picture
from bench.report.charts.heat import Grid
from bench.report.charts.spread import figure
from bench.report.frame import Row, rows
from bench.report.section import Picture

if TYPE_CHECKING:
    from pandas import DataFrame

MOST = 9
"""So many panels are drawn; the table has all of them."""


def pictures(frame: DataFrame) -> Iterator[Picture]:
    """A panel per task, test split and method, of those behind their first index."""
    lines = [row for row in behind_first(rows(frame)) if row.on.mean is not None]
    lines.sort(key=lambda row: (-row.beta, row.tau))
    panels = list(dict.fromkeys((row.title, row.method) for row in rows(frame)))
    shown = [row for at in panels[:MOST] for row in lines if (row.title, row.method) == at]
    if not shown:
        return
    notes = [
        "Test split, points, every seed at its own chosen k; the deeper, the higher within a "
        "panel. Framed: what held-out chose, by some seed."
    ]
    if len(panels) > MOST:
        notes.append(f"{len(panels) - MOST} more panels are in the table alone.")
    form = Grid(Axis("tau"), Axis("beta"))
    yield picture("beta-tau", "Score at every beta and tau", map(_mark, shown), form, notes)


def _mark(row: Row) -> Mark:
    value = 100 * row.on.mean
    chosen = f", chosen by {row.chosen_by} of {len(row.seeds)}" if row.chosen_by else ""
    return {
        "panel": f"{row.title}, {row.method}",
        "x": f"{row.tau:g}",
        "y": f"{row.beta:g}",
        "depth": value,
        "label": f"{value:.1f}",
        "chosen": bool(row.chosen_by),
        "text": f"beta {row.beta:g}, tau {row.tau:g}: {figure(value)}{chosen}",
        "task": row.task,
        "method": row.method,
        "index": row.index,
    }
