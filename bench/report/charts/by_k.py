"""The score against k: how many neighbours it takes, and whether any do better than none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bench.report.charts.form import Axis, Mark, picture
from bench.report.charts.points import Points
from bench.report.charts.spread import NOTE, TEST, Mean, figure, spread, with_interval
from bench.report.frame import Row, rows
from bench.report.section import Picture
from bench.report.summary import each

if TYPE_CHECKING:
    from pandas import DataFrame


def pictures(frame: DataFrame) -> Iterator[Picture]:
    """A panel per task and test split, a line per method; ``off`` stands left of the smallest k.

    Args:
        frame: of scores at every k; of each method those behind its first index are drawn.
    """
    shown = behind_first(rows(frame))
    if not shown:
        return
    notes = [
        "For each k, beta and tau were chosen on held-out; the score is of the test split. off: "
        "the student alone.",
        f"Behind {'; '.join(dict.fromkeys(row.index for row in shown))}. Other indexes stand in "
        "the table.",
    ]
    if any(row.on.sd is not None for row in shown):
        notes.append(f"{NOTE} {TEST}")
    if any(len(row.seeds) == 1 for row in shown):
        notes.append("One seed has no interval: a difference between two points may be chance.")
    form = Points(Axis("k, neighbours"), Axis("{metric}, points"), joined=True)
    yield picture("accuracy-by-k", "Score against k", _marks(shown), form, notes)


def behind_first(lines: Sequence[Row]) -> list[Row]:
    """Of each task and method the rows of its first index; others approximate its answers."""
    return [row for row in lines if row.first]


def _marks(shown: Sequence[Row]) -> Iterator[Mark]:
    """Every line begins with ``off`` and a gap, and has all ks of its panel in order."""
    lines: dict[tuple[str, str], dict[int, Row]] = {}
    for row in shown:
        lines.setdefault((row.title, row.method), {}).setdefault(row.k, row)
    for (title, method), line in lines.items():
        first = next(iter(line.values()))
        fields = {"panel": title, "series": method, "method": method, "task": first.task}
        fields |= {"index": first.index, "metric": first.metric}
        off, nothing = spread(first.off), spread(None)
        yield {**fields, "x": "off", **_ends(off), "text": f"{method}, off: {figure(off.mean)}"}
        yield {**fields, "x": "off", **_ends(nothing), "text": ""}
        for k in sorted({row.k for row in shown if row.title == title}):
            mean, text = nothing, ""
            if k in line:
                mean, row = spread(line[k].on), line[k]
                text = f"{method}, k = {k}: {with_interval(mean)}"
                text += f"; beta {each(row.beta)}, tau {each(row.tau)}"
            yield {**fields, "x": str(k), **_ends(mean), "text": text}


def _ends(mean: Mean) -> Mark:
    return {"y": mean.mean, "low": mean.low, "high": mean.high}
