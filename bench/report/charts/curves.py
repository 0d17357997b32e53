"""Training curves: every term of the loss and the selection metric, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.report.charts.form import Axis, Mark, picture
from bench.report.charts.points import Points
from bench.report.charts.spread import NOTE, spread
from bench.report.frame import Row, rows
from bench.report.names import Names
from bench.report.section import Picture
from bench.report.summary import number

if TYPE_CHECKING:
    from pandas import DataFrame


def pictures(frame: DataFrame) -> Iterator[Picture]:
    """One picture per task whose students left a history: a panel per term, a line per method."""
    names = Names()
    tasks: dict[str, list[Row]] = {}
    for row in rows(frame):
        tasks.setdefault(row.task, []).append(row)
    for task, lines in tasks.items():
        notes = [
            "Terms of the loss as they are before their weights, means over the batches of an "
            "epoch; a method has those that it uses."
        ]
        if any(row.value.n > 1 for row in lines):
            notes.append(f"Means over seeds. {NOTE}")
        if len({last for row in lines for last in row.last}) > 1:
            note = "Students stopped after different epochs: a mean is of those that went on."
            notes.append(note)
        form = Points(Axis("epoch"), Axis("{metric}"), joined=True)
        title, marks = f"Training curves, {lines[0].title}", map(_mark, lines)
        yield picture(names.of(f"curves-{task}"), title, marks, form, notes)


def _mark(row: Row) -> Mark:
    mean = spread(row.value, 100.0 if row.selects else 1.0)
    term = row.term.removeprefix("loss/")
    return {
        "panel": f"{term} on held-out" if row.selects else f"loss: {term}",
        "series": row.method,
        "x": row.epoch,
        "y": mean.mean,
        "low": mean.low,
        "high": mean.high,
        "text": f"{row.method}, epoch {row.epoch:g}: {number(mean.mean)}",
        "metric": "points" if row.selects else "loss",
        "task": row.task,
        "method": row.method,
    }
