"""The score against k: how many neighbours it takes, and whether any do better than none."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report.figure import Axis, Figure, Panel, Series
from bench.report.figures.spread import NOTE, TEST, Mean, figure, spread
from bench.report.frame import Row
from bench.report.scores import OFF
from bench.report.summary import each

Line = list[Row]

MOST_TOLD = 4
"""So many lines of a panel are told in words."""


def accuracy_by_k(found: Sequence[Row]) -> Figure | None:
    """A panel per task and test split, a line per method; ``off`` stands left of the smallest k.

    Args:
        found: each method behind one index, see :func:`bench.report.sensitivity.behind_first`.
    """
    lines = _lines(found)
    if not lines:
        return None
    titles = list(dict.fromkeys(line[0].title for line in lines))
    groups = [[line for line in lines if line[0].title == title] for title in titles]
    indexes = list(dict.fromkeys(line[0].index for line in lines))
    notes = [
        "For each k, beta and tau were chosen on held-out; the score is of the test split. off: "
        "the student alone.",
        f"Behind {'; '.join(indexes)}. Other indexes stand in the table.",
    ]
    if any(row.on.sd is not None for line in lines for row in line):
        notes.append(f"{NOTE} {TEST}")
    if any(len(row.seeds) == 1 for line in lines for row in line):
        notes.append("One seed has no interval: a difference between two points may be chance.")
    return Figure(
        name="accuracy-by-k",
        title="Score against k",
        alt=" ".join(_told(title, group) for title, group in zip(titles, groups, strict=True)),
        panels=tuple(_panel(title, group) for title, group in zip(titles, groups, strict=True)),
        notes=tuple(notes),
    )


def _lines(found: Sequence[Row]) -> list[Line]:
    """The rows of each method on each split, ascending in k."""
    rows: dict[tuple[str, str, str], dict[int, Row]] = {}
    for row in found:
        rows.setdefault((row.task, row.split, row.method), {}).setdefault(row.k, row)
    return [[line[k] for k in sorted(line)] for line in rows.values()]


def _panel(title: str, lines: Sequence[Line]) -> Panel:
    ks = sorted({row.k for line in lines for row in line})
    metric = lines[0][0].metric
    series = tuple(_series(line, ks) for line in lines)
    return Panel(title, Axis("k, neighbours"), Axis(f"{metric}, points"), series)


def _series(line: Line, ks: Sequence[int]) -> Series:
    """All lines of a panel have the same places, so that the categories are in order."""
    at = {row.k: row for row in line}
    nothing = Mean(None, None, None)
    means = [spread(at[k].on) if k in at else nothing for k in ks]
    off, method = spread(line[0].off), line[0].method
    texts = [f"{method}, off: {figure(off.mean)}", ""]
    texts += [
        f"{method}, k = {k}: {_interval(mean)}; beta {each(at[k].beta)}, tau {each(at[k].tau)}"
        if k in at
        else ""
        for k, mean in zip(ks, means, strict=True)
    ]
    # The second point is a gap: no line leads from off to the smallest k.
    points = [off, nothing, *means]
    return Series(
        label=method,
        x=(OFF, OFF, *(str(k) for k in ks)),
        y=tuple(point.mean for point in points),
        low=tuple(point.low for point in points),
        high=tuple(point.high for point in points),
        texts=tuple(texts),
    )


def _interval(mean: Mean) -> str:
    ends = "" if mean.low is None else f" [{figure(mean.low)}, {figure(mean.high)}]"
    return figure(mean.mean) + ends


def _told(title: str, lines: Sequence[Line]) -> str:
    """Every line where they are few, else those that k moves most."""
    moved = sorted(lines, key=_reach, reverse=True)
    shown = lines if len(lines) <= MOST_TOLD else moved[:MOST_TOLD]
    told = f"{title}, {lines[0][0].metric} on the test split: {'; '.join(map(_line_told, shown))}."
    if len(shown) < len(lines):
        told += f" k moves the others by at most {figure(_reach(moved[len(shown)]))} points."
    return told


def _reach(line: Line) -> float:
    means = [100 * row.on.mean for row in line if row.on.mean is not None]
    return max(means) - min(means) if means else 0.0


def _line_told(line: Line) -> str:
    scored = [row for row in line if row.on.mean is not None]
    off = figure(spread(line[0].off).mean)
    if not scored:
        return f"{line[0].method} was not measured"
    low, high = (pick(scored, key=lambda row: row.on.mean or 0.0) for pick in (min, max))
    least, most = figure(spread(low.on).mean), figure(spread(high.on).mean)
    if least == most:
        return f"{line[0].method} has {least} at every k, {off} without retrieval"
    return (
        f"{line[0].method} goes from {least} (k = {low.k}) to {most} (k = {high.k}), {off} without "
        f"retrieval, held-out chose k = {each(line[0].chosen_k)}"
    )
