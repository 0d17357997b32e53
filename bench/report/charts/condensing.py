"""Pictures of cheaper knowledge bases: the score against bytes and against added time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import TYPE_CHECKING

from bench.report.charts.forms import Axis, Form, Mark, of, picture, with_levels
from bench.report.charts.spread import NOTE, TEST, figure, spread
from bench.report.frame import Row, rows
from bench.report.section import Picture
from bench.report.summary import number, size

if TYPE_CHECKING:
    from pandas import DataFrame

KIB = 2**10


def pictures(frame: DataFrame) -> Iterator[Picture]:
    """A panel per task, test split and method, a point per base; those with figures."""
    yield from _picture(
        frame,
        "bytes",
        "index, values and ids, KiB",
        lambda row: None if row.bytes is None else row.bytes / KIB,
        lambda kib: size(kib * KIB),
    )
    yield from _picture(
        frame,
        "time",
        "added to a forward, µs (hot loop)",
        lambda row: row.added_us,
        lambda time: f"{number(time)} µs",
    )


def _picture(
    frame: DataFrame,
    cost: str,
    axis: str,
    price: Callable[[Row], float | None],
    say: Callable[[float], str],
) -> Iterator[Picture]:
    panels: dict[tuple[str, str], list[Mark]] = {}
    for row in rows(frame):
        value = price(row)
        if value is None or row.on.mean is None:
            continue
        score = spread(row.on)
        mark: Mark = {"panel": f"{row.title}, {row.method}", "series": row.kind, "x": value}
        mark |= {**score.at("y"), "front": getattr(row, f"front_{cost}")}
        mark["text"] = f"{row.base}: {figure(score.mean)} at {say(value)}"
        mark |= of(row, "metric", "task", "method", "base")
        panels.setdefault((row.title, row.method), []).append(mark)
    fronts = []
    for (title, method), marks in panels.items():
        levels = _levels([row for row in rows(frame) if (row.title, row.method) == (title, method)])
        front = sorted((mark for mark in marks if mark["front"]), key=itemgetter("x"))
        words = "; ".join(mark["text"] for mark in front)
        fronts.append(f"{title}, {method}, Pareto front: {words}.")
        with_levels(marks, levels)
    if not panels:
        return
    every = [mark for marks in panels.values() for mark in marks]
    notes = [
        "A point is a knowledge base of the same students. Line: the Pareto front of the means. "
        "Dashed: the student alone, and the whole base minus the margin of the verdict.",
    ]
    if any(mark["low"] is not None for mark in every):
        notes.append(f"{NOTE} {TEST}")
    form = Form("points", Axis(axis, log=True), Axis("{metric}, points"))
    title = {"bytes": "Score against bytes", "time": "Score against added time"}[cost]
    name = f"condensed-by-{cost}"
    yield picture(name, f"{title} of the knowledge base", every, form, notes, " ".join(fronts))


def _levels(shown: list[Row]) -> dict[float, str]:
    """What to look for: the student alone, and the least that is no loss."""
    levels: dict[float, str] = {}
    whole = next((row for row in shown if row.verdict is None and row.on.mean is not None), None)
    if shown[0].off.mean is not None:
        off = 100 * shown[0].off.mean
        levels[off] = f"student alone: {off:.2f}"
    if whole is not None:
        least = 100 * whole.on.mean - whole.margin
        levels[least] = f"whole - {whole.margin:g}: {least:.2f}"
    return levels
