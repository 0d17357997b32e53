"""Training curves: every term of the loss and the selection metric, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence

from bench.records.run import Record, TrainingResult
from bench.report.figure import Axis, Figure, Panel, Series
from bench.report.figures.spread import NOTE, spread
from bench.report.names import Names
from bench.report.results import Results
from bench.report.summary import number, summarise

LOSS = "loss/"
Pairs = list[tuple[Record, TrainingResult]]


def curves(results: Results) -> list[Figure]:
    """One picture per task whose students left a history, in the order of the plan."""
    tasks: dict[str, Pairs] = {}
    for record, training in results.trained:
        if training.history:
            tasks.setdefault(record.task, []).append((record, training))
    names = Names()
    return [_figure(names.of(f"curves-{task}"), pairs) for task, pairs in tasks.items()]


def _figure(name: str, pairs: Pairs) -> Figure:
    record = pairs[0][0]
    methods = {
        method: [training for one, training in pairs if one.method == method]
        for method in dict.fromkeys(one.method for one, _ in pairs)
    }
    rows = [row for _, training in pairs for row in training.history]
    terms = list(dict.fromkeys(key for row in rows for key in row if key.startswith(LOSS)))
    panels = [
        _panel(f"{record.select_on} on held-out", record.select_on, "points", 100.0, methods),
        *(_panel(f"loss: {term.removeprefix(LOSS)}", term, "loss", 1.0, methods) for term in terms),
    ]
    shown = tuple(panel for panel in panels if panel.series)
    notes = [
        "Terms of the loss as they are before their weights, means over the batches of an epoch; "
        "a method has those that it uses."
    ]
    if any(len(trainings) > 1 for trainings in methods.values()):
        notes.append(f"Means over seeds. {NOTE}")
    lengths = {len(training.history) for _, training in pairs}
    if len(lengths) > 1:
        notes.append("Students stopped after different epochs: a mean is of those that went on.")
    alt = (
        f"{record.title}, from the first to the last epoch of {len(methods)} "
        f"method{'s' if len(methods) > 1 else ''}. {' '.join(map(_told, shown))}"
    )
    return Figure(name, f"Training curves, {record.title}", alt, shown, tuple(notes))


def _panel(
    title: str, key: str, unit: str, scale: float, methods: dict[str, list[TrainingResult]]
) -> Panel:
    lines = [_series(method, found, key, scale) for method, found in methods.items()]
    there = tuple(line for line in lines if any(value is not None for value in line.y))
    return Panel(title, Axis("epoch"), Axis(unit), there)


def _series(method: str, found: Sequence[TrainingResult], key: str, scale: float) -> Series:
    values: dict[float, list[float | None]] = {}
    for row in (row for one in found for row in one.history):
        values.setdefault(row["epoch"], []).append(row.get(key))
    epochs = sorted(values)
    means = [spread(summarise(values[epoch]), scale) for epoch in epochs]
    return Series(
        label=method,
        x=tuple(epochs),
        y=tuple(mean.mean for mean in means),
        low=tuple(mean.low for mean in means),
        high=tuple(mean.high for mean in means),
        texts=tuple(
            f"{method}, epoch {epoch:g}: {number(mean.mean)}"
            for epoch, mean in zip(epochs, means, strict=True)
        ),
    )


def _told(panel: Panel) -> str:
    """How far each line comes, or between which two all of them end."""
    ways = {}
    for series in panel.series:
        known = [value for value in series.y if value is not None]
        ways[series.label] = (known[0], known[-1])
    if len(ways) < 3:
        parts = [f"{name} {number(a)} to {number(b)}" for name, (a, b) in ways.items()]
        return f"{panel.title}: {'; '.join(parts)}."
    low, high = (pick(ways, key=lambda name: ways[name][1]) for pick in (min, max))
    ends = f"{number(ways[low][1])} ({low}) and {number(ways[high][1])} ({high})"
    return f"{panel.title} ends between {ends}."
