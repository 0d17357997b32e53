"""Pictures of scores: every seed, and each method without and with retrieval."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.records.results import Results
from bench.report.charts.forms import Axis, Form, Mark, picture
from bench.report.charts.spread import NOTE, TEST, figure, spread
from bench.report.frame import rows
from bench.report.names import shorter
from bench.report.scores import CONTROLS
from bench.report.section import Picture
from bench.report.summary import summarise

if TYPE_CHECKING:
    from pandas import DataFrame

ALONE, WITH = "without retrieval", "with retrieval"

FORM = Form("rows", Axis("{metric}, points"), Axis(""))


def off_on(frame: DataFrame) -> Iterator[Picture]:
    """A panel per task and test split, of the frame of off and on; none without retrieval."""
    marks: list[Mark] = []
    for row in rows(frame):
        at = {"panel": row.header, "y": row.method, "task": row.task, "method": row.method}
        at["metric"] = row.metric
        off, on = spread(row.off).mean, spread(row.on).mean
        if row.method in CONTROLS:  # beside them no method could be told from another
            continue
        if off is not None:
            text = f"{row.method}: {figure(off)}"
            marks.append({**at, "x": off, "start": None, "series": ALONE, "text": text})
        if on is not None:
            gain = "" if off is None else f", {on - off:+z.2f} points"
            text = f"{row.method} behind {row.index}: {figure(on)}{gain}"
            marks.append({**at, "x": on, "start": off, "series": WITH, "text": text})
    if any(mark["series"] == WITH for mark in marks):
        note = "Test split, means over seeds; with retrieval: behind the first index of the plan."
        yield picture("off-on", "Every method without and with retrieval", marks, FORM, (note,))


def seeds(results: Results) -> Iterator[Picture]:
    """A panel per task and test split; none where no method has two seeds.

    A row is a method without retrieval, or behind the first index of the plan.
    """
    groups: dict[tuple[str, str], list[Mark]] = {}
    for mark in _every_seed(results):
        groups.setdefault((mark["panel"], mark["y"]), []).append(mark)
    panels = {panel for (panel, _), marks in groups.items() if len(marks) > 1}
    shown: list[Mark] = []
    for (panel, name), marks in groups.items():
        if panel in panels:
            mean = spread(summarise(mark["x"] for mark in marks), 1.0)
            text = f"{name}, mean: {mean}, n = {len(marks)}"
            whole = {**marks[0], **mean.at("x"), "seed": None, "faint": False, "text": text}
            shown += (*marks, whole)
    if shown:
        note = f"Test split: small, each seed; large, their mean. {NOTE} {TEST}"
        yield picture("seeds", "Score of every seed", shown, FORM, (note,))


def _every_seed(results: Results) -> Iterator[Mark]:
    """Methods in the order of the plan, each seed off, then on."""
    short = shorter(index for _, _, index in results.by_index)
    on = {
        (record.task, record.method, record.seed): (index, result.chosen.scores)
        for (task, method, index), pairs in results.by_index.items()
        if index == results.first_index(task, method)
        for record, result in pairs
    }
    order = list(dict.fromkeys((record.task, record.method) for record, _ in results.trained))
    pairs = sorted(results.trained, key=lambda pair: order.index((pair[0].task, pair[0].method)))
    for record, training in pairs:
        lines = [(record.method, ALONE, training.scores)]
        if (record.task, record.method, record.seed) in on:
            index, scores = on[record.task, record.method, record.seed]
            lines.append((f"{record.method} + {short[index]}", WITH, scores))
        for name, series, scores in lines:
            for split in record.tests:
                value = scores.get(split, {}).get(record.select_on)
                if value is not None:
                    text = f"{name}, seed {record.seed}: {figure(100 * value)}"
                    at = {"panel": record.heading(split), "y": name, "x": 100 * value}
                    at |= {"task": record.task, "method": record.method, "seed": record.seed}
                    at |= {"metric": record.select_on, "series": series}
                    yield {**at, "text": text, "faint": True}
