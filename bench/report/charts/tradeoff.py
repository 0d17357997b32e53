"""What accuracy costs: the score against search time, memory, and the time added to a forward."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from bench.records.measurement import LatencyRecord
from bench.report.charts.form import Axis, Mark, picture
from bench.report.charts.points import Points
from bench.report.charts.spread import NOTE, TEST, Mean, figure, spread
from bench.report.frame import Row, rows
from bench.report.names import shorter
from bench.report.section import Picture
from bench.report.summary import number, size

if TYPE_CHECKING:
    from pandas import DataFrame

MOST_SERIES = 8
"""Where there are more pairs of method and index, a method's indexes share a colour."""

MIB = 2**20

Place = tuple[str, str, str]
"""Task, method and index."""


@dataclass(frozen=True)
class Frames:
    """What the pictures stand on: the frames of retrieval, of its costs and of scores."""

    effects: DataFrame
    costs: DataFrame
    scores: DataFrame


class _Point(NamedTuple):
    effect: Row
    behind: str
    cost: float
    score: Mean


class _Best(NamedTuple):
    """The best student without retrieval: what any cost must be worth."""

    method: str
    score: float


class _Price(NamedTuple):
    """What a cost is called, how it is said, and what there is to know of it."""

    name: str
    title: str
    axis: Axis
    say: Callable[[float], str]
    note: str


def by_time(frames: Frames) -> Iterator[Picture]:
    """The score against the time of one search, a panel per task and test split."""
    price = _Price(
        "accuracy-by-search-time",
        "Score against search time",
        Axis("one search, µs (median)", log=True),
        lambda value: f"{number(value)} µs",
        "Search time: one query, one thread, index call only, in a hot loop; what retrieval adds "
        "to a forward is measured by bench latency.",
    )
    yield from _build(price, {_at(row): row.search_us_p50 for row in rows(frames.costs)}, frames)


def by_memory(frames: Frames) -> Iterator[Picture]:
    """The score against the memory of what answers, a panel per task and test split."""
    price = _Price(
        "accuracy-by-memory",
        "Score against memory",
        Axis("index, soft labels and ids, MiB", log=True),
        lambda value: size(value * MIB),
        "Memory: the index with the vectors in it, soft labels and ids, by their own formulas; "
        "resident memory is measured by bench memory.",
    )
    yield from _build(price, {_at(row): memory(row) for row in rows(frames.costs)}, frames)


def by_added_time(frames: Frames, records: Sequence[LatencyRecord]) -> Iterator[Picture]:
    """The score against what retrieval adds to the forward of one input, as it was measured.

    A record belongs to an effect if its base has the name of the task and its backend is the
    index's; of several fp32 comes first, then the smallest k.
    """
    used: dict[tuple[str, str], LatencyRecord] = {}
    for record in sorted(records, key=lambda r: (r.cell.precision != "fp32", r.cell.k, r.key)):
        if record.result is not None and record.cell.batch == 1:
            used.setdefault((record.cell.base, record.cell.backend), record)
    effects = rows(frames.effects)
    bases = {_at(row): (row.task, row.index.split(", ")[0]) for row in effects}
    measured = {at: used[base] for at, base in bases.items() if base in used}
    prices = {at: one.result.added.p50 for at, one in measured.items() if one.result}
    cells = [record.cell for record in measured.values()]
    sizes = dict.fromkeys(f"{cell.base} {cell.size:,}" for cell in cells)
    settings = dict.fromkeys(f"{cell.precision}, k {cell.k}" for cell in cells)
    price = _Price(
        "accuracy-by-added-time",
        "Score against added time",
        Axis("added to a forward, ms (median)", log=True),
        lambda value: f"{number(value)} ms",
        "Added time: everything that retrieval adds to the forward of one input, as bench latency "
        f"measured it over bases of their own ({', '.join(sizes)} entries; {'; '.join(settings)}); "
        "scores are of the run.",
    )
    yield from _build(price, prices, frames)


def _at(row: Row) -> Place:
    return row.task, row.method, row.index


def memory(row: Row) -> float:
    """MiB of index, soft labels and ids; the float32 keys are in the index, not counted twice."""
    keys = 4 * row.entries * row.width
    return float(row.index_bytes + max(0.0, row.kb_bytes - keys)) / MIB


def _build(price: _Price, prices: Mapping[Place, float], frames: Frames) -> Iterator[Picture]:
    effects, scores = rows(frames.effects), rows(frames.scores)
    short = shorter(effect.index for effect in effects)
    groups: dict[tuple[str, str], list[_Point]] = {}
    for effect in effects:
        cost = prices.get(_at(effect))
        if cost is not None and effect.on.mean is not None:
            point = _Point(effect, short[effect.index], cost, spread(effect.on))
            groups.setdefault((effect.task, effect.split), []).append(point)
    if not groups:
        return
    pairs = {(point.effect.method, point.effect.index) for g in groups.values() for point in g}
    apart = len(pairs) <= MOST_SERIES
    marks, told = [], []
    for (task, split), points in groups.items():
        best = _best(scores, task, split)
        undominated = _front(points, best)
        marks += [
            _mark(point, best, price, apart=apart, on_front=point in undominated)
            for point in points
        ]
        told += [f"{points[0].effect.title}, Pareto front: {_front_told(undominated, price.say)}."]
    notes = [
        "A point is a method behind an index. Dashed: the best student without retrieval, which "
        "costs nothing. Line: the Pareto front of the means that beat it at their cost; whether a "
        "difference holds stands in the comparisons.",
        price.note,
    ]
    if any(mark["low"] is not None for mark in marks):
        notes.append(f"{NOTE} {TEST}")
    form = Points(price.axis, Axis("{metric}, points"))
    yield picture(price.name, price.title, marks, form, notes, " ".join(told))


def _best(scores: Sequence[Row], task: str, split: str) -> _Best | None:
    students = [
        _Best(score.method, 100 * score.value.mean)
        for score in scores
        if (score.task, score.split) == (task, split)
        and score.selects
        and score.retrieval == "off"
        and score.value.mean is not None
    ]
    return max(students, key=lambda student: student.score, default=None)


def _front(points: Sequence[_Point], best: _Best | None) -> list[_Point]:
    """What neither another point nor the best student without retrieval dominates, cheapest first.

    A point dominates what costs no less and is worth no more; of equal points all stay.
    """
    places = [(point.cost, point.score.mean or 0.0) for point in points]
    floor = best.score if best else -math.inf
    kept = [
        point
        for point, (cost, score) in zip(points, places, strict=True)
        if score > floor
        and not any(c <= cost and s >= score and (c, s) != (cost, score) for c, s in places)
    ]
    return sorted(kept, key=lambda point: point.cost)


def _mark(point: _Point, best: _Best | None, price: _Price, *, apart: bool, on_front: bool) -> Mark:
    effect = point.effect
    return {
        "panel": effect.title,
        "series": f"{effect.method}, {point.behind}" if apart else effect.method,
        "x": point.cost,
        "y": point.score.mean,
        "low": point.score.low,
        "high": point.score.high,
        "front": on_front,
        "rule": best.score if best else None,
        "rule_text": f"off, {best.method}: {best.score:.2f}" if best else None,
        "text": _text(point, price.say),
        "metric": effect.metric,
        "task": effect.task,
        "method": effect.method,
        "index": effect.index,
    }


def _front_told(points: Sequence[_Point], say: Callable[[float], str]) -> str:
    return "; ".join(_text(point, say) for point in points) or "no index beats the best without"


def _text(point: _Point, say: Callable[[float], str]) -> str:
    return f"{point.effect.method}, {point.behind}: {figure(point.score.mean)} at {say(point.cost)}"
