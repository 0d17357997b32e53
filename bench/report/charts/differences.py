"""Pictures of differences: between methods, between runs, and what a gain is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bench.report.charts.forms import Axis, Form, Mark, of, picture
from bench.report.charts.spread import NOTE, percent, spread
from bench.report.frame import Row, rows
from bench.report.names import shorter
from bench.report.section import Picture
from bench.report.verdict import Verdict, interval, signed

if TYPE_CHECKING:
    from pandas import DataFrame

OFF = "off"
HOLDING = (Verdict.BETTER, Verdict.WORSE)
REFERENCE, NO_BASE = "reference", "no knowledge base"


def of_methods(frame: DataFrame) -> Iterator[Picture]:
    """Differences from the baseline, and gains of retrieval, of the frame of comparisons."""
    lines = [row for row in rows(frame) if row.difference]
    if shown := [row for row in lines if row.kind == "baseline"]:
        baseline = shown[0].baseline
        yield _forest("differences", f"Differences from {baseline}", baseline, shown)
    if shown := [row for row in lines if row.kind == "retrieval"]:
        yield _forest("gains", "Gain of retrieval", "the student alone", shown)


def of_runs(frame: DataFrame) -> Iterator[Picture]:
    """Every run minus the first, of the frame of a comparison of runs."""
    if shown := [row for row in rows(frame) if row.difference]:
        first = shown[0].first
        yield _forest("differences", f"Differences from {first}", first, shown)


def _forest(name: str, title: str, than: str, lines: Sequence[Row]) -> Picture:
    short = shorter(dict.fromkeys(row.retrieval for row in lines if row.retrieval != OFF))
    several_runs = len({getattr(row, "run", None) for row in lines}) > 1
    marks: list[Mark] = []
    for row in lines:
        place = row.method if row.retrieval == OFF else f"{row.method} + {short[row.retrieval]}"
        place += f", {row.run}" if several_runs else ""
        ends = "" if row.difference.low is None else f" {interval(row.difference)}"
        text = f"{place}: {signed(row.difference.estimate)} points{ends}, {row.verdict}"
        mark: Mark = {"panel": row.title, "y": place, "series": row.outcome, "text": text}
        mark |= {**percent(row.difference).at("x"), "rule": 0.0}
        marks.append(mark | of(row, "task", "method", "retrieval", "metric"))
    notes = []
    if any(row.difference.low is not None for row in lines):
        notes.append("Lines are 95 % intervals over seeds and examples, without Holm's correction.")
    if any(row.difference.low is None for row in lines):
        notes.append("One seed has no interval: such a difference may be chance.")
    holding = sum(row.outcome in HOLDING for row in lines)
    lead = f"{holding} of {len(lines)} differences hold after Holm's correction."
    form = Form("rows", Axis(f"{{metric}}, points above {_literal(than)}"), Axis(""))
    return picture(name, title, marks, form, notes, lead)


def _literal(name: str) -> str:
    """A name for the title of an axis, where braces are for the metric."""
    return name.replace("{", "{{").replace("}", "}}")


def attribution(frame: DataFrame) -> Iterator[Picture]:
    """A panel per task, a row per change, a mark per method; none where nothing was changed."""
    lines = [row for row in rows(frame) if row.gain.mean is not None]
    if all(row.factor == REFERENCE for row in lines):
        return
    marks: list[Mark] = []
    for row in lines:
        gain, change = spread(row.gain), f"{row.factor}: {row.level}"
        ends = "" if gain.low is None else f" [{gain.low:+z.2f}, {gain.high:+z.2f}]"
        name = {REFERENCE: REFERENCE, NO_BASE: row.level}.get(row.factor, change)
        text = f"{row.method}, {change}: {gain.mean:+z.2f} points{ends}, n = {row.n}"
        mark: Mark = {"panel": row.title, "y": name, **gain.at("x"), "rule": 0.0}
        mark |= {"series": row.method, "text": text}
        marks.append(mark | of(row, "task", "method", "factor"))
    notes = [
        "Test split: score with that knowledge base, or that control, minus that of the same "
        "student alone. Shuffled labels and random keys must not help: a gain of retrieval begins "
        "above them."
    ]
    if any(row.gain.sd is not None for row in lines):
        notes.append(NOTE)
    form = Form("rows", Axis("gain, points"), Axis(""))
    yield picture("attribution", "What the gain is made of", marks, form, notes)
