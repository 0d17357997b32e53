"""The score of every seed: how much of a difference may be the seed's."""

from __future__ import annotations

from collections.abc import Mapping

from bench.records.run import Record, TrainingResult
from bench.report.figure import Axis, Figure, Panel, Series
from bench.report.figures.spread import NOTE, TEST, figure, spread
from bench.report.names import shorter
from bench.report.results import Results
from bench.report.summary import summarise

MEAN = "mean"
MOST_TOLD = 4
"""So many rows of a panel are told in words."""

Rows = dict[str, dict[int, float]]
"""Name of a row -> seed -> score, a share."""


def seed_scatter(results: Results) -> Figure | None:
    """A panel per task and test split; None where no method has two seeds.

    A row is a method without retrieval, or behind the first index of the plan.
    """
    panels: dict[str, tuple[str, Rows]] = {}
    for title, metric, row, seed, value in _points(results):
        rows = panels.setdefault(title, (metric, {}))[1]
        rows.setdefault(row, {})[seed] = value
    shown = {
        title: found
        for title, found in panels.items()
        if any(len(seeds) > 1 for seeds in found[1].values())
    }
    if not shown:
        return None
    return Figure(
        name="seeds",
        title="Score of every seed",
        alt=" ".join(_told(title, metric, rows) for title, (metric, rows) in shown.items()),
        panels=tuple(_panel(title, metric, rows) for title, (metric, rows) in shown.items()),
        notes=(f"Test split, a point per seed; the ring is their mean. {NOTE} {TEST}",),
    )


def _points(results: Results) -> list[tuple[str, str, str, int, float]]:
    """(title, metric, row, seed, score) in the order of the plan: each method off, then on."""
    found = []
    by_index = results.by_index
    short = shorter(index for _, _, index in by_index)
    on = {
        (record.task, record.method, record.seed): (index, result.chosen.scores)
        for (task, method, index), pairs in by_index.items()
        if index == results.first_index(task, method)
        for record, result in pairs
    }
    trained = results.trained
    groups: dict[tuple[str, str], list[tuple[Record, TrainingResult]]] = {}
    for pair in trained:
        groups.setdefault((pair[0].task, pair[0].method), []).append(pair)
    for record, training in (pair for group in groups.values() for pair in group):
        rows = [(record.method, training.scores)]
        if (record.task, record.method, record.seed) in on:
            index, scores = on[record.task, record.method, record.seed]
            rows.append((f"{record.method} + {short[index]}", scores))
        for name, scores in rows:
            for split in record.tests:
                value = scores.get(split, {}).get(record.select_on)
                if value is not None:
                    title = record.heading(split)
                    found.append((title, record.select_on, name, record.seed, value))
    return found


def _panel(title: str, metric: str, rows: Rows) -> Panel:
    points = [(row, seed, value) for row, seeds in rows.items() for seed, value in seeds.items()]
    means = [spread(summarise(seeds.values())) for seeds in rows.values()]
    each = Series(
        label="one seed",
        x=tuple(row for row, _, _ in points),
        y=tuple(100 * value for _, _, value in points),
        texts=tuple(f"{row}, seed {seed}: {figure(100 * value)}" for row, seed, value in points),
        mode="points",
    )
    over = Series(
        label=MEAN,
        x=tuple(rows),
        y=tuple(mean.mean for mean in means),
        low=tuple(mean.low for mean in means),
        high=tuple(mean.high for mean in means),
        texts=tuple(f"{row}: {_mean(seeds)}" for row, seeds in rows.items()),
        mode="points",
        emphasised=True,
    )
    return Panel(title, Axis(""), Axis(f"{metric}, points"), (each, over))


def _mean(seeds: Mapping[int, float]) -> str:
    found = spread(summarise(seeds.values()))
    ends = "" if found.low is None else f" [{figure(found.low)}, {figure(found.high)}]"
    return f"{figure(found.mean)}{ends}, n = {len(seeds)}"


def _told(title: str, metric: str, rows: Rows) -> str:
    """Every row where they are few, else those whose seeds spread most."""
    several = {row: list(seeds.values()) for row, seeds in rows.items() if len(seeds) > 1}
    widest = sorted(several, key=lambda row: min(several[row]) - max(several[row]))
    shown = widest[:MOST_TOLD]
    parts = [
        f"{row} {figure(100 * min(several[row]))} to {figure(100 * max(several[row]))}, mean "
        f"{_mean(rows[row])}"
        for row in shown
    ]
    told = f"{title}, {metric} by seed, the widest spread first: {'; '.join(parts)}."
    if len(widest) > len(shown):
        least = several[widest[len(shown)]]
        told += f" The others spread by at most {figure(100 * (max(least) - min(least)))} points."
    return told
