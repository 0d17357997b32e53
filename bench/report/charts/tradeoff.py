"""Pictures of what accuracy costs: against search time, memory, and the time added to a forward."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from bench.records.measurement import LatencyRecord
from bench.report import pareto
from bench.report.charts.forms import Axis, Form, Mark, of, picture
from bench.report.charts.spread import NOTE, TEST, figure, spread
from bench.report.frame import Row, rows
from bench.report.names import shorter
from bench.report.section import Picture
from bench.report.summary import each, number, size

if TYPE_CHECKING:
    from pandas import DataFrame

MOST_SERIES = 8
"""Where there are more pairs of method and index, a method's indexes share a colour."""

MIB = 2**20

Place = tuple[str, str, str]
"""Task, method and index."""


class Frames(NamedTuple):
    """What the pictures stand on: the frames of retrieval, of its costs and of scores."""

    effects: DataFrame
    costs: DataFrame
    scores: DataFrame


def pictures(frames: Frames, records: Sequence[LatencyRecord]) -> Iterator[Picture]:
    """Recall, then scores against search time, memory and added time; those with figures."""
    yield from recall(frames)
    costs = rows(frames.costs)
    yield from _picture(
        "search time",
        "one search, µs (median)",
        {_place(row): row.search_us_p50 for row in costs},
        lambda value: f"{number(value)} µs",
        "Search time: one query, one thread, index call only, in a hot loop; what retrieval adds "
        "to a forward is measured by bench latency.",
        frames,
    )
    yield from _picture(
        "memory",
        "index, soft labels and ids, MiB",
        {_place(row): _memory(row) for row in costs},
        lambda value: size(value * MIB),
        "Memory: the index with the vectors in it, soft labels and ids, by their own formulas; "
        "resident memory is measured by bench memory.",
        frames,
    )
    yield from by_added_time(frames, records)


def by_added_time(frames: Frames, records: Sequence[LatencyRecord]) -> Iterator[Picture]:
    """The score against what retrieval adds to the forward of one input, as it was measured.

    A record belongs to an effect if its base has the name of the task and its backend is the
    index's; of several fp32 comes first, then the smallest k.
    """
    used: dict[tuple[str, str], LatencyRecord] = {}
    for record in sorted(records, key=lambda r: (r.cell.arithmetic != "fp32", r.cell.k, r.key)):
        if record.result is not None and record.cell.batch == 1:
            used.setdefault((record.cell.base, record.cell.backend), record)
    bases = {_place(row): (row.task, row.index.split(", ")[0]) for row in rows(frames.effects)}
    measured = {place: used[base] for place, base in bases.items() if base in used}
    cells = [record.cell for record in measured.values()]
    sizes = dict.fromkeys(f"{cell.base} {cell.size:,}" for cell in cells)
    settings = dict.fromkeys(f"{cell.arithmetic}, k {cell.k}" for cell in cells)
    yield from _picture(
        "added time",
        "added to a forward, ms (median)",
        {place: record.result.added.p50 for place, record in measured.items() if record.result},
        lambda value: f"{number(value)} ms",
        "Added time: everything that retrieval adds to the forward of one input, as bench latency "
        f"measured it over bases of their own ({', '.join(sizes)} entries; {'; '.join(settings)}); "
        "scores are of the run.",
        frames,
    )


def recall(frames: Frames) -> Iterator[Picture]:
    """How exact an index is against its search time: a point per student's index."""
    times = {_place(row): row.search_us_p50 for row in rows(frames.costs)}
    shown = [row for row in rows(frames.effects) if row.recall.mean is not None]
    shown = [row for row in shown if _place(row) in times]
    names = shorter(dict.fromkeys(row.index for row in shown))
    if len(names) < 2:
        return  # one index has nothing to be compared with
    marks: list[Mark] = []
    for row in shown:
        index, share, time = names[row.index], 100 * row.recall.mean, times[_place(row)]
        text = f"{row.method}, {index}: {share:.2f} % at {number(time)} µs"
        mark = {"panel": row.title, "series": index, "x": time, "y": share, "text": text}
        marks.append(mark | of(row, "task", "method", "index"))
    note = (
        f"Recall@{each([row.k_max for row in shown])} against exact search, of the test split's "
        "queries. A point is a student; means over seeds. Search time: one query, one thread, "
        "index call only, in a hot loop."
    )
    form = Form("points", Axis("one search, µs (median)", log=True), Axis("recall, %"))
    yield picture("recall-by-search-time", "Recall against search time", marks, form, (note,))


def _place(row: Row) -> Place:
    return row.task, row.method, row.index


def _memory(row: Row) -> float:
    """MiB of index, soft labels and ids; the float32 keys are in the index, not counted twice."""
    keys = 4 * row.entries * row.width
    return float(row.index_bytes + max(0.0, row.kb_bytes - keys)) / MIB


def _picture(
    cost: str,
    axis: str,
    costs: Mapping[Place, float],
    say: Callable[[float], str],
    note: str,
    frames: Frames,
) -> Iterator[Picture]:
    """A panel per task and test split; none where nothing has both a cost and a score.

    Args:
        axis: the title of that of the cost.
        say: a cost in words.
        note: what there is to know of it.
    """
    effects = rows(frames.effects)
    short = shorter(row.index for row in effects)
    priced = [row for row in effects if costs.get(_place(row)) is not None]
    shown = [row for row in priced if row.on.mean is not None]
    if not shown:
        return
    apart = len({(row.method, row.index) for row in shown}) <= MOST_SERIES
    panels: dict[tuple[str, str], list[Mark]] = {}
    for row in shown:
        score, price, index = spread(row.on), costs[_place(row)], short[row.index]
        name = f"{row.method}, {index}"
        mark: Mark = {"panel": row.title, "x": price, **score.at("y")}
        mark |= {"text": f"{name}: {figure(score.mean)} at {say(price)}"}
        mark |= {"series": name if apart else row.method}
        mark |= of(row, "metric", "task", "method", "index")
        panels.setdefault((row.task, row.split), []).append(mark)
    fronts = []
    for (task, split), marks in panels.items():
        off, method = _best(rows(frames.scores), task, split)
        front = _front(marks, -math.inf if off is None else off)
        words = "; ".join(mark["text"] for mark in front) or "no index beats the best without"
        fronts.append(f"{marks[0]['panel']}, Pareto front: {words}.")
        level = None if off is None else f"off, {method}: {off:.2f}"
        for mark in marks:
            mark |= {"front": mark in front, "rule": off, "rule_text": level}
    notes = [
        "A point is a method behind an index. Dashed: the best student without retrieval, which "
        "costs nothing. Line: the Pareto front of the means that beat it at their cost; whether a "
        "difference holds stands in the comparisons.",
        note,
    ]
    every = [mark for marks in panels.values() for mark in marks]
    if any(mark["low"] is not None for mark in every):
        notes.append(f"{NOTE} {TEST}")
    name = f"accuracy-by-{cost.replace(' ', '-')}"
    form = Form("points", Axis(axis, log=True), Axis("{metric}, points"))
    yield picture(name, f"Score against {cost}", every, form, notes, " ".join(fronts))


def _best(scores: Sequence[Row], task: str, split: str) -> tuple[float | None, str]:
    """The best student without retrieval: what any cost must be worth."""
    students = [
        (100 * row.value.mean, row.method)
        for row in scores
        if (row.task, row.split, row.retrieval) == (task, split, "off")
        and row.selects
        and row.value.mean is not None
    ]
    return max(students, key=itemgetter(0), default=(None, ""))


def _front(marks: Sequence[Mark], floor: float) -> list[Mark]:
    """What neither another point nor the best student without retrieval dominates, cheapest first.

    See :func:`bench.report.pareto.front`.
    """
    on_front = pareto.front([(mark["x"], mark["y"]) for mark in marks])
    front = [m for m, stays in zip(marks, on_front, strict=True) if stays and m["y"] > floor]
    return sorted(front, key=itemgetter("x"))
