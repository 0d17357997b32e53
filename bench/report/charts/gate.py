"""The history of the gate: the overhead of every cell from call to call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bench.measure import history
from bench.measure.history import HistoryEntry
from bench.records.measurement import LatencyCell
from bench.report.charts.forms import Axis, Form, Mark, picture, with_levels
from bench.report.charts.spread import percent
from bench.report.section import Picture

Course = tuple[HistoryEntry, ...]


def pictures(entries: Iterable[HistoryEntry]) -> Iterator[Picture]:
    """A panel per machine, a line per cell, the limits; none where nothing was measured."""
    machines: dict[str, list[Course]] = {}
    for course in history.series(entries):
        if any(entry.ratio for entry in course):
            name = f"{course[0].cpu}, {course[0].cores} cores"
            machines.setdefault(name, []).append(course)
    marks = [mark for name, courses in machines.items() for mark in _panel(name, courses)]
    if marks:
        form = Form("lines", Axis("call of the gate"), Axis("overhead, % of forward", log=True))
        note = (
            "Overhead of each cell at each call of bench gate, with its 95 % interval. A gap: "
            "nothing was measured."
        )
        yield picture("gate-history", "History of the gate", marks, form, (note,))


def _panel(name: str, courses: Sequence[Course]) -> Sequence[Mark]:
    """All lines have all calls of their panel, so that the calls are in order."""
    every = [entry for course in courses for entry in course]
    dates = _dates(sorted({entry.time for entry in every}))
    marks: list[Mark] = []
    for course in courses:
        cell, entries = course[0].cell, {entry.time: entry for entry in course}
        at = {"panel": name, "series": _label(cell, courses), "text": ""}
        at |= {"base": cell.base, "backend": cell.backend}
        for time, date in dates.items():
            mark: Mark = {**at, "x": date, "y": None}
            if (entry := entries.get(time)) and entry.ratio:
                ratio = percent(entry.ratio)
                commit = f"{entry.commit or 'no commit'}{'+' if entry.dirty else ''}"
                text = f"{at['series']}: {ratio:%}, {entry.verdict}; {commit}, {time}"
                mark |= {**ratio.at("y"), "text": text}
            marks.append(mark)
    limits = sorted({100 * entry.limit for entry in every})
    return with_levels(marks, {limit: f"limit {limit:g} %" for limit in limits})


def _label(cell: LatencyCell, courses: Sequence[Course]) -> str:
    """The base and the backend, and what else tells the cell from the others of its panel."""
    words = {
        "size": f"({cell.size:,})",
        "precision": cell.precision,
        "runtime": cell.arithmetic,
        "student": cell.student,
    }
    words |= {"lengths": cell.lengths, "reduction": cell.variant}
    label = [cell.base, cell.backend]
    for axis, value in cell:
        varies = len({getattr(course[0].cell, axis) for course in courses}) > 1
        if varies and axis not in ("base", "backend"):
            label.append(words.get(axis, f"{axis} {value}"))
    return " ".join(filter(None, label))


def _dates(times: Sequence[str]) -> dict[str, str]:
    """Times by no more than tells them apart: to the day, the minute or the second."""
    for length in (10, 16, 19):
        dates = {time: time[:length].replace("T", " ") for time in times}
        if len(set(dates.values())) == len(times):
            break
    return dates
