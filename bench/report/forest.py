"""The picture of a comparison of runs: every difference with its interval around no difference."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report.figure import Axis, Figure, Panel, Rule, Series
from bench.report.frame import Row
from bench.report.names import shorter
from bench.report.scores import OFF
from bench.report.verdict import Verdict, interval, signed


def forest(found: Sequence[Row]) -> Figure | None:
    """A panel per task and test split; None where no difference has an interval."""
    shown = [one for one in found if one.difference and one.difference.low is not None]
    if not shown:
        return None
    first = shown[0].first
    return Figure(
        name="differences",
        title=f"Differences from {first}",
        alt=_told(shown),
        panels=tuple(_panel(title, shown) for title in dict.fromkeys(o.title for o in shown)),
        notes=("Lines are 95 % intervals over seeds and examples, without Holm's correction.",),
    )


def _panel(title: str, shown: Sequence[Row]) -> Panel:
    own = [one for one in shown if one.title == title]
    runs = dict.fromkeys(one.run for one in own)
    series = tuple(
        _series(run, [one for one in own if one.run == run], named=len(runs) > 1) for run in runs
    )
    y = Axis(f"{own[0].metric}, points above {own[0].first}")
    return Panel(title, Axis(""), y, series, (Rule("no difference", 0.0),))


def _series(run: str, own: Sequence[Row], *, named: bool) -> Series:
    """One run; ``named``: its places bear its name, so that intervals do not lie on each other."""
    short = shorter(one.retrieval for one in own if one.retrieval != OFF)
    known = [(one, one.difference) for one in own if one.difference]
    after = f", {run}" if named else ""
    return Series(
        label=run,
        x=tuple(_name(one, short.get(one.retrieval, "")) + after for one, _ in known),
        y=tuple(100 * difference.estimate for _, difference in known),
        low=tuple(_points(difference.low) for _, difference in known),
        high=tuple(_points(difference.high) for _, difference in known),
        texts=tuple(one.verdict for one, _ in known),
        mode="points",
    )


def _name(one: Row, index: str) -> str:
    return one.method if one.retrieval == OFF else f"{one.method} + {index}"


def _points(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _told(shown: Sequence[Row]) -> str:
    """How many hold, and the largest of them in numbers."""
    holding = [one for one in shown if one.outcome in (Verdict.BETTER, Verdict.WORSE)]
    line = f"{len(holding)} of {len(shown)} differences hold after Holm's correction."
    pairs = [(one, one.difference) for one in holding or shown if one.difference]
    one, difference = max(pairs, key=lambda pair: abs(pair[1].estimate))
    index = "" if one.retrieval == OFF else f" with {one.retrieval}"
    what = "The largest of them" if holding else "The largest"
    return (
        f"{line} {what} is {signed(difference.estimate)} points {interval(difference)}: "
        f"{one.title} {one.method}{index} in {one.run}."
    )
