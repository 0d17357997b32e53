"""Scores of every seed, and their mean: how far chance of training moves a method."""

from __future__ import annotations

from collections.abc import Iterator

from bench.records.results import Results
from bench.report.charts.form import Axis, Mark, picture
from bench.report.charts.names import Named
from bench.report.charts.spread import NOTE, TEST, figure, spread, with_interval
from bench.report.names import shorter
from bench.report.section import Picture
from bench.report.summary import summarise

ALONE, WITH = "without retrieval", "with retrieval"

Row = tuple[str, str, str]
"""Panel, name and series."""


def pictures(results: Results) -> Iterator[Picture]:
    """A panel per task and test split; none where no method has two seeds.

    A row is a method without retrieval, or behind the first index of the plan.
    """
    rows: dict[Row, list[Mark]] = {}
    for mark in _points(results):
        rows.setdefault((mark["panel"], mark["y"], mark["series"]), []).append(mark)
    panels = {panel for (panel, _, _), marks in rows.items() if len(marks) > 1}
    shown = [marks for (panel, _, _), marks in rows.items() if panel in panels]
    if shown:
        notes = (f"Test split: small, each seed; large, their mean. {NOTE} {TEST}",)
        marks = (mark for row in shown for mark in (*row, _mean(row)))
        yield picture("seeds", "Score of every seed", marks, Named(Axis("{metric}, points")), notes)


def _mean(marks: list[Mark]) -> Mark:
    mean = spread(summarise(mark["x"] for mark in marks), 1.0)
    first = {**marks[0], "seed": None, "faint": False}
    text = f"{first['y']}, mean: {with_interval(mean)}, n = {len(marks)}"
    return {**first, "x": mean.mean, "low": mean.low, "high": mean.high, "text": text}


def _points(results: Results) -> Iterator[Mark]:
    """Methods in the order of the plan, each seed off, then on."""
    by_index = results.by_index
    short = shorter(index for _, _, index in by_index)
    on = {
        (record.task, record.method, record.seed): (index, result.chosen.scores)
        for (task, method, index), pairs in by_index.items()
        if index == results.first_index(task, method)
        for record, result in pairs
    }
    order = dict.fromkeys((record.task, record.method) for record, _ in results.trained)
    places = list(order)
    pairs = sorted(results.trained, key=lambda pair: places.index((pair[0].task, pair[0].method)))
    for record, training in pairs:
        rows = [(record.method, ALONE, training.scores)]
        if (record.task, record.method, record.seed) in on:
            index, scores = on[record.task, record.method, record.seed]
            rows.append((f"{record.method} + {short[index]}", WITH, scores))
        for name, series, scores in rows:
            for split in record.tests:
                value = scores.get(split, {}).get(record.select_on)
                if value is not None:
                    yield {
                        "panel": record.heading(split),
                        "y": name,
                        "x": 100 * value,
                        "low": None,
                        "high": None,
                        "series": series,
                        "faint": True,
                        "text": f"{name}, seed {record.seed}: {figure(100 * value)}",
                        "seed": record.seed,
                        "task": record.task,
                        "method": record.method,
                        "metric": record.select_on,
                    }
