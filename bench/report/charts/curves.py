"""Training curves: every term of the loss and the selection metric, epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator

from bench.records.run import Record, TrainingResult
from bench.report.charts.form import Axis, Mark, picture
from bench.report.charts.points import Points
from bench.report.charts.spread import NOTE, spread
from bench.report.names import Names
from bench.report.results import Results
from bench.report.section import Picture
from bench.report.summary import number, summarise

LOSS = "loss/"
Pairs = list[tuple[Record, TrainingResult]]


def pictures(results: Results) -> Iterator[Picture]:
    """One picture per task whose students left a history, in the order of the plan."""
    tasks: dict[str, Pairs] = {}
    for record, training in results.trained:
        if training.history:
            tasks.setdefault(record.task, []).append((record, training))
    names = Names()
    for task, pairs in tasks.items():
        notes = [
            "Terms of the loss as they are before their weights, means over the batches of an "
            "epoch; a method has those that it uses."
        ]
        if len({record.method for record, _ in pairs}) < len(pairs):
            notes.append(f"Means over seeds. {NOTE}")
        if len({len(training.history) for _, training in pairs}) > 1:
            notes.append(
                "Students stopped after different epochs: a mean is of those that went on."
            )
        title, form = (
            f"Training curves, {pairs[0][0].title}",
            Points(Axis("epoch"), Axis("{metric}"), joined=True),
        )
        yield picture(names.of(f"curves-{task}"), title, _marks(pairs), form, notes)


def _marks(pairs: Pairs) -> Iterator[Mark]:
    """A panel for the metric, then one for each term; a method has the terms that it uses."""
    score = pairs[0][0].select_on
    epochs = (row for _, training in pairs for row in training.history)
    terms = dict.fromkeys(key for row in epochs for key in row if key.startswith(LOSS))
    for key in (score, *terms):
        scale, unit, panel = 1.0, "loss", f"loss: {key.removeprefix(LOSS)}"
        if key == score:
            scale, unit, panel = 100.0, "points", f"{score} on held-out"
        values: dict[tuple[str, float], list[float | None]] = {}
        for record, training in pairs:
            for row in training.history:
                values.setdefault((record.method, row["epoch"]), []).append(row.get(key))
        for (method, epoch), found in sorted(values.items(), key=lambda item: item[0][1]):
            mean = spread(summarise(found), scale)
            if mean.mean is not None:
                yield {
                    "panel": panel,
                    "series": method,
                    "x": epoch,
                    "y": mean.mean,
                    "low": mean.low,
                    "high": mean.high,
                    "text": f"{method}, epoch {epoch:g}: {number(mean.mean)}",
                    "task": pairs[0][0].task,
                    "method": method,
                    "metric": unit,
                }
