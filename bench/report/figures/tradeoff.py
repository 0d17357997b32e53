"""What accuracy costs: the score against search time and against memory of the knowledge base."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from bench.records.measurement import LatencyRecord
from bench.report.figure import Axis, Figure, Panel, Rule, Series
from bench.report.figures.front import front
from bench.report.figures.spread import NOTE, TEST, Mean, figure, spread
from bench.report.frame import Row
from bench.report.names import shorter
from bench.report.scores import MAJORITY, OFF, TEACHER
from bench.report.summary import number, size

FRONT = "Pareto front"
MOST_SERIES = 12
"""Where there are more pairs of method and index, a method's indexes share a colour."""

MIB = 2**20

Place = tuple[str, str, str]
"""Task, method and index."""


class _Point(NamedTuple):
    effect: Row
    behind: str
    cost: float
    score: Mean


class _Best(NamedTuple):
    """The best student without retrieval: what any cost must be worth."""

    method: str
    score: float


def accuracy_by_time(
    found: Sequence[Row], costs: Sequence[Row], scores: Sequence[Row]
) -> Figure | None:
    """The score against the time of one search, a panel per task and test split."""
    return _build(
        "accuracy-by-search-time",
        "Score against search time",
        Axis("one search, µs (median)", log=True),
        {_at(cost): cost.search_us_p50 for cost in costs},
        lambda value: f"{number(value)} µs",
        (found, scores),
        "Search time: one query, one thread, index call only, in a hot loop; what retrieval adds "
        "to a forward is measured by bench latency.",
    )


def accuracy_by_memory(
    found: Sequence[Row], costs: Sequence[Row], scores: Sequence[Row]
) -> Figure | None:
    """The score against the memory of what answers, a panel per task and test split."""
    return _build(
        "accuracy-by-memory",
        "Score against memory",
        Axis("index, soft labels and ids, MiB", log=True),
        {_at(cost): _memory(cost) for cost in costs},
        lambda value: size(value * MIB),
        (found, scores),
        "Memory: the index with the vectors in it, soft labels and ids, by their own formulas; "
        "resident memory is measured by bench memory.",
    )


def accuracy_by_added_time(
    found: Sequence[Row], records: Sequence[LatencyRecord], scores: Sequence[Row]
) -> Figure | None:
    """The score against what retrieval adds to the forward of one input, as it was measured.

    A record belongs to an effect if its base has the name of the task and its backend is the
    index's; of several fp32 comes first, then the smallest k.
    """
    used: dict[tuple[str, str], LatencyRecord] = {}
    for record in sorted(records, key=lambda r: (r.cell.precision != "fp32", r.cell.k, r.key)):
        if record.result is not None and record.cell.batch == 1:
            used.setdefault((record.cell.base, record.cell.backend), record)
    prices = {
        _at(effect): used[base].result.added.p50  # type: ignore[union-attr]
        for effect in found
        if (base := (effect.task, effect.index.split(", ")[0])) in used
    }
    shown = dict.fromkeys((task, index.split(", ")[0]) for task, _, index in prices)
    cells = [used[base].cell for base in shown]
    sizes = dict.fromkeys(f"{cell.base} {cell.size:,}" for cell in cells)
    settings = dict.fromkeys(f"{cell.precision}, k {cell.k}" for cell in cells)
    return _build(
        "accuracy-by-added-time",
        "Score against added time",
        Axis("added to a forward, ms (median)", log=True),
        prices,
        lambda value: f"{number(value)} ms",
        (found, scores),
        "Added time: everything that retrieval adds to the forward of one input, as bench latency "
        f"measured it over bases of their own ({', '.join(sizes)} entries; {'; '.join(settings)}); "
        "scores are of the run.",
    )


def _at(found: Row) -> Place:
    return found.task, found.method, found.index


def _memory(cost: Row) -> float:
    """MiB of index, soft labels and ids; the float32 keys are in the index, not counted twice."""
    keys = 4 * cost.entries * cost.width
    return float(cost.index_bytes + max(0.0, cost.kb_bytes - keys)) / MIB


def _build(
    name: str,
    title: str,
    axis: Axis,
    prices: Mapping[Place, float],
    say: Callable[[float], str],
    about: tuple[Sequence[Row], Sequence[Row]],
    note: str,
) -> Figure | None:
    effects, scores = about
    short = shorter(effect.index for effect in effects)
    groups: dict[tuple[str, str], list[_Point]] = {}
    for effect in effects:
        cost = prices.get(_at(effect))
        if cost is not None and effect.on.mean is not None:
            point = _Point(effect, short[effect.index], cost, spread(effect.on))
            groups.setdefault((effect.task, effect.split), []).append(point)
    if not groups:
        return None
    pairs = {(point.effect.method, point.effect.index) for g in groups.values() for point in g}
    apart = len(pairs) <= MOST_SERIES
    panels, told = [], []
    for (task, split), points in groups.items():
        best = _best(scores, task, split)
        undominated = _front(points, best)
        panels.append(_panel(points, undominated, best, axis, say, apart=apart))
        told.append(_told(points, undominated, best, say))
    notes = [
        "A point is a method behind an index. Dashed: the best student without retrieval, which "
        "costs nothing. The front is of the means that beat it at their cost; whether a "
        "difference holds stands in the comparisons.",
        note,
    ]
    if any(point.score.low is not None for points in groups.values() for point in points):
        notes.append(f"{NOTE} {TEST}")
    return Figure(name, title, " ".join(told), tuple(panels), tuple(notes))


def _best(scores: Sequence[Row], task: str, split: str) -> _Best | None:
    found = [
        _Best(score.method, 100 * score.value.mean)
        for score in scores
        if (score.task, score.split) == (task, split)
        and score.selects
        and score.retrieval == OFF
        and score.method not in (MAJORITY, TEACHER)
        and score.value.mean is not None
    ]
    return max(found, key=lambda one: one.score, default=None)


def _front(points: Sequence[_Point], best: _Best | None) -> list[_Point]:
    """The points that neither another one nor the best student without retrieval dominates."""
    places = front([(point.cost, point.score.mean or 0.0) for point in points])
    return [
        points[at] for at in places if best is None or (points[at].score.mean or 0.0) > best.score
    ]


def _panel(
    points: Sequence[_Point],
    undominated: Sequence[_Point],
    best: _Best | None,
    axis: Axis,
    say: Callable[[float], str],
    *,
    apart: bool,
) -> Panel:
    groups: dict[str, list[_Point]] = {}
    for point in points:
        effect = point.effect
        label = f"{effect.method}, {point.behind}" if apart else effect.method
        groups.setdefault(label, []).append(point)
    series = [_series(label, group, say) for label, group in groups.items()]
    if undominated:
        series.append(
            Series(
                label=FRONT,
                x=tuple(point.cost for point in undominated),
                y=tuple(point.score.mean for point in undominated),
                texts=tuple(_text(point, say) for point in undominated),
                emphasised=True,
            )
        )
    rules = (Rule(f"off, {best.method}: {best.score:.2f}", best.score),) if best else ()
    first = points[0].effect
    return Panel(first.title, axis, Axis(f"{first.metric}, points"), tuple(series), rules)


def _series(label: str, points: Sequence[_Point], say: Callable[[float], str]) -> Series:
    return Series(
        label=label,
        x=tuple(point.cost for point in points),
        y=tuple(point.score.mean for point in points),
        low=tuple(point.score.low for point in points),
        high=tuple(point.score.high for point in points),
        texts=tuple(_text(point, say) for point in points),
        mode="points",
    )


def _text(point: _Point, say: Callable[[float], str]) -> str:
    return f"{point.effect.method}, {point.behind}: {figure(point.score.mean)} at {say(point.cost)}"


def _told(
    points: Sequence[_Point],
    undominated: Sequence[_Point],
    best: _Best | None,
    say: Callable[[float], str],
) -> str:
    first = points[0].effect
    costs = [point.cost for point in points]
    told = f"{first.title}, {first.metric}, {say(min(costs))} to {say(max(costs))}: "
    alone = (
        f"the best student without retrieval, {best.method} with {best.score:.2f}" if best else ""
    )
    if not undominated:
        return f"{told}no index beats {alone}."
    above = f", above {alone}" if best else ""
    return f"{told}on the Pareto front{above}: {'; '.join(_text(p, say) for p in undominated)}."
