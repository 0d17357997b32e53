"""Pictures of scores along a setting: k, beta and tau, epochs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.report.charts.forms import Axis, Form, Mark, of, picture
from bench.report.charts.spread import NOTE, TEST, figure, spread
from bench.report.frame import Row, rows
from bench.report.names import Names
from bench.report.section import Picture
from bench.report.summary import each, number

if TYPE_CHECKING:
    from pandas import DataFrame

MOST = 9
"""So many panels of beta and tau are drawn; the table has all of them."""


def by_k(frame: DataFrame) -> Iterator[Picture]:
    """A panel per task and test split, a line per method; ``off`` stands left of the smallest k.

    Args:
        frame: of scores at every k; of each method those behind its first index are drawn.
    """
    shown = [row for row in rows(frame) if row.first]
    if not shown:
        return
    indexes = "; ".join(dict.fromkeys(row.index for row in shown))
    notes = [
        "For each k, beta and tau were chosen on held-out; the score is of the test split. off: "
        "the student alone.",
        f"Behind {indexes}. Other indexes stand in the table.",
    ]
    if any(row.on.sd is not None for row in shown):
        notes.append(f"{NOTE} {TEST}")
    if any(len(row.seeds) == 1 for row in shown):
        notes.append("One seed has no interval: a difference between two points may be chance.")
    form = Form("lines", Axis("k, neighbours"), Axis("{metric}, points"))
    yield picture("accuracy-by-k", "Score against k", _lines(shown), form, notes)


def _lines(shown: list[Row]) -> Iterator[Mark]:
    """Every line begins with ``off`` and a gap, and has all ks of its panel in order."""
    lines: dict[tuple[str, str], dict[int, Row]] = {}
    for row in shown:
        lines.setdefault((row.title, row.method), {}).setdefault(row.k, row)
    for (title, method), line in lines.items():
        first = next(iter(line.values()))
        at: Mark = {"panel": title, "series": method, "text": ""}
        at |= of(first, "method", "task", "index", "metric")
        off = spread(first.off)
        yield {**at, "x": "off", **off.at("y"), "text": f"{method}, off: {figure(off.mean)}"}
        yield {**at, "x": "off", "y": None}
        for k in sorted({row.k for row in shown if row.title == title}):
            mark: Mark = {**at, "x": str(k), "y": None}
            if k in line:
                mean, row = spread(line[k].on), line[k]
                mark |= mean.at("y")
                mark["text"] = f"{method}, k = {k}: {mean}; beta {each(row.beta)}, "
                mark["text"] += f"tau {each(row.tau)}"
            yield mark


def beta_tau(frame: DataFrame) -> Iterator[Picture]:
    """A panel per task, test split and method, of those behind their first index."""
    lines = [row for row in rows(frame) if row.first and row.on.mean is not None]
    lines.sort(key=lambda row: (-row.beta, row.tau))
    panels = list(dict.fromkeys((row.title, row.method) for row in rows(frame)))
    marks: list[Mark] = []
    for row in (row for at in panels[:MOST] for row in lines if (row.title, row.method) == at):
        value, chosen = 100 * row.on.mean, ""
        if row.chosen_by:
            chosen = f", chosen by {row.chosen_by} of {len(row.seeds)}"
        text = f"beta {row.beta:g}, tau {row.tau:g}: {figure(value)}{chosen}"
        mark: Mark = {"panel": f"{row.title}, {row.method}", "text": text}
        mark |= {"x": f"{row.tau:g}", "y": f"{row.beta:g}"}
        mark |= {"depth": value, "label": f"{value:.1f}", "chosen": bool(row.chosen_by)}
        marks.append(mark | of(row, "task", "method", "index"))
    if not marks:
        return
    notes = [
        "Test split, points, every seed at its own chosen k; the deeper, the higher within a "
        "panel. Framed: what held-out chose, by some seed."
    ]
    if len(panels) > MOST:
        notes.append(f"{len(panels) - MOST} more panels are in the table alone.")
    form = Form("grid", Axis("tau"), Axis("beta"))
    yield picture("beta-tau", "Score at every beta and tau", marks, form, notes)


def curves(frame: DataFrame) -> Iterator[Picture]:
    """One picture per task whose students left a history: a panel per term, a line per method."""
    names, lines = Names(), rows(frame)
    for task in dict.fromkeys(row.task for row in lines):
        of_task = [row for row in lines if row.task == task]
        marks: list[Mark] = []
        for row in of_task:
            mean, term = (
                spread(row.value, 100.0 if row.selects else 1.0),
                row.term.removeprefix("loss/"),
            )
            text = f"{row.method}, epoch {row.epoch:g}: {number(mean.mean)}"
            at = {"panel": f"{term} on held-out", "metric": "points"}
            if not row.selects:
                at = {"panel": f"loss: {term}", "metric": "loss"}
            mark: Mark = {**at, "series": row.method, "x": row.epoch, **mean.at("y")}
            marks.append({**mark, "text": text, **of(row, "task", "method")})
        notes = [
            "Terms of the loss as they are before their weights, means over the batches of an "
            "epoch; a method has those that it uses."
        ]
        if any(row.value.n > 1 for row in of_task):
            notes.append(f"Means over seeds. {NOTE}")
        if len({last for row in of_task for last in row.last}) > 1:
            notes.append(
                "Students stopped after different epochs: a mean is of those that went on."
            )
        form = Form("lines", Axis("epoch"), Axis("{metric}"))
        title = f"Training curves, {of_task[0].title}"
        yield picture(names.of(f"curves-{task}"), title, marks, form, notes)
