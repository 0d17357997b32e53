"""Differences with their intervals around no difference: who is better, and whether it holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bench.report.charts.form import Axis, Mark, picture
from bench.report.charts.names import Named
from bench.report.frame import Row, rows
from bench.report.names import shorter
from bench.report.section import Picture
from bench.report.verdict import Verdict, interval, signed

if TYPE_CHECKING:
    from pandas import DataFrame

OFF = "off"
HOLDING = (Verdict.BETTER, Verdict.WORSE)


def pictures(frame: DataFrame) -> Iterator[Picture]:
    """Differences from the baseline, and gains of retrieval, of the frame of comparisons."""
    lines = [row for row in rows(frame) if row.difference]
    for kind, name in (("baseline", "differences"), ("retrieval", "gains")):
        if shown := [row for row in lines if row.kind == kind]:
            gain = kind == "retrieval"
            title = "Gain of retrieval" if gain else f"Differences from {shown[0].baseline}"
            than = "the student alone" if gain else shown[0].baseline
            yield _forest(name, title, than, shown)


def between_runs(frame: DataFrame) -> Iterator[Picture]:
    """Every run minus the first, of the frame of a comparison of runs."""
    if shown := [row for row in rows(frame) if row.difference]:
        first = shown[0].first
        yield _forest("differences", f"Differences from {first}", first, shown)


def _forest(name: str, title: str, than: str, lines: Sequence[Row]) -> Picture:
    short = shorter(dict.fromkeys(row.retrieval for row in lines if row.retrieval != OFF))
    named = len({getattr(row, "run", None) for row in lines}) > 1
    notes = []
    if any(row.difference.low is not None for row in lines):
        notes.append("Lines are 95 % intervals over seeds and examples, without Holm's correction.")
    if any(row.difference.low is None for row in lines):
        notes.append("One seed has no interval: such a difference may be chance.")
    holding = sum(row.outcome in HOLDING for row in lines)
    told = f"{holding} of {len(lines)} differences hold after Holm's correction."
    marks = (_mark(row, short, named=named) for row in lines)
    return picture(name, title, marks, Named(Axis(f"{{metric}}, points above {than}")), notes, told)


def _mark(row: Row, short: dict[str, str], *, named: bool) -> Mark:
    place = row.method if row.retrieval == OFF else f"{row.method} + {short[row.retrieval]}"
    place += f", {row.run}" if named else ""
    low, high = (
        None if end is None else 100 * end for end in (row.difference.low, row.difference.high)
    )
    ends = "" if low is None else f" {interval(row.difference)}"
    return {
        "panel": row.title,
        "y": place,
        "x": 100 * row.difference.estimate,
        "low": low,
        "high": high,
        "rule": 0.0,
        "series": row.outcome,
        "text": f"{place}: {signed(row.difference.estimate)} points{ends}, {row.verdict}",
        "task": row.task,
        "method": row.method,
        "retrieval": row.retrieval,
        "metric": row.metric,
    }
