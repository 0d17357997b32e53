"""How exact an index is against the time it takes, backend by backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bench.report.costs import Cost
from bench.report.effects import Effect
from bench.report.figure import Axis, Figure, Panel, Series
from bench.report.figures.spread import figure
from bench.report.frame import Row
from bench.report.names import shorter
from bench.report.sections import latency
from bench.report.summary import each, number

RECALL = "recall, %"
Timed = Sequence[tuple[Effect, float]]


def recall_by_search(effects: Sequence[Effect], costs: Sequence[Cost]) -> Figure | None:
    """Of the indexes of a run: a panel per task and test split, a point per student's index."""
    times = {(cost.task, cost.method, cost.index): cost.search_us_p50 for cost in costs}
    groups: dict[tuple[str, str], list[tuple[Effect, float]]] = {}
    for effect in effects:
        time = times.get((effect.task, effect.method, effect.index))
        if time is not None and effect.recall.mean is not None:
            groups.setdefault((effect.task, effect.split), []).append((effect, time))
    if len({effect.index for pairs in groups.values() for effect, _ in pairs}) < 2:
        return None  # one index has nothing to be compared with
    found = [effect for pairs in groups.values() for effect, _ in pairs]
    names = shorter(dict.fromkeys(effect.index for effect in found))
    k_max = each([effect.k_max for effect in found])
    return Figure(
        name="recall-by-search-time",
        title="Recall against search time",
        alt=" ".join(_search_told(pairs, names) for pairs in groups.values()),
        panels=tuple(_search_panel(pairs, names) for pairs in groups.values()),
        notes=(
            f"Recall@{k_max} against exact search, of the test split's queries. A point is a "
            "student; means over seeds. Search time: one query, one thread, index call only, in "
            "a hot loop.",
        ),
    )


def _search_panel(pairs: Timed, names: Mapping[str, str]) -> Panel:
    groups: dict[str, list[tuple[Effect, float]]] = {}
    for effect, time in pairs:
        groups.setdefault(names[effect.index], []).append((effect, time))
    series = tuple(
        Series(
            label=index,
            x=tuple(time for _, time in group),
            y=tuple(_mean(effect) for effect, _ in group),
            texts=tuple(
                f"{e.method}, {index}: {_mean(e):.2f} % at {number(time)} µs" for e, time in group
            ),
            mode="points",
        )
        for index, group in groups.items()
    )
    x = Axis("one search, µs (median)", log=True)
    return Panel(pairs[0][0].title, x, Axis(RECALL), series)


def _search_told(pairs: Timed, names: Mapping[str, str]) -> str:
    parts = []
    for index in dict.fromkeys(effect.index for effect, _ in pairs):
        recalls = [_mean(effect) for effect, _ in pairs if effect.index == index]
        times = [time for effect, time in pairs if effect.index == index]
        parts.append(f"{names[index]} {_range(recalls)} % in {_range(times, number)} µs")
    return f"{pairs[0][0].title}, recall and time of a search: {'; '.join(parts)}."


def _mean(effect: Effect) -> float:
    return 100 * (effect.recall.mean or 0.0)


def recall_by_added_time(records: Sequence[Row]) -> Figure | None:
    """Of measured latency: a panel per batch and precision, a point per knowledge base."""
    there = [r for r in records if r.result is not None and r.index is not None]
    groups: dict[str, list[Row]] = {}
    for record in there:
        groups.setdefault(record.setting, []).append(record)
    if len({record.cell.backend for record in there}) < 2:
        return None
    return Figure(
        name="recall-by-added-time",
        title="Recall against the time that retrieval adds",
        alt=" ".join(_added_told(name, group) for name, group in groups.items()),
        panels=tuple(_added_panel(name, group) for name, group in groups.items()),
        notes=(
            "A point is a knowledge base; the larger it is, the further right. Recall of queries "
            "that the search effort was not tuned on; each backend's effort is tuned to the same "
            "target.",
        ),
    )


def _added_panel(name: str, records: Sequence[Row]) -> Panel:
    backends = dict.fromkeys(record.cell.backend for record in records)
    series = tuple(
        _added_series([record for record in records if record.cell.backend == one])
        for one in backends
    )
    return Panel(name, Axis("added time, ms per batch (median)", log=True), Axis(RECALL), series)


def _added_series(records: Sequence[Row]) -> Series:
    facts = [_facts(record) for record in records]
    return Series(
        label=records[0].cell.backend,
        x=tuple(result.added.p50 for result, _ in facts),
        y=tuple(100 * index.recall for _, index in facts),
        texts=tuple(
            f"{record.cell.base} ({record.cell.size:,}), {latency.backend(record)}: "
            f"{100 * index.recall:.2f} % in {result.added.p50:.3f} ms, effort {index.effort}"
            for record, (result, index) in zip(records, facts, strict=True)
        ),
        mode="points",
    )


def _facts(record: Row) -> tuple[Row, Row]:
    return record.result, record.index


def _added_told(name: str, records: Sequence[Row]) -> str:
    parts = []
    for backend in dict.fromkeys(record.cell.backend for record in records):
        facts = [_facts(record) for record in records if record.cell.backend == backend]
        recalls = [100 * index.recall for _, index in facts]
        times = [result.added.p50 for result, _ in facts]
        parts.append(f"{backend} {_range(recalls)} % in {_range(times, number)} ms")
    return f"{name}, recall and added time: {'; '.join(parts)}."


def _range(values: Sequence[float], say: Callable[[float], str] = figure) -> str:
    low, high = say(min(values)), say(max(values))
    return low if low == high else f"{low} to {high}"
