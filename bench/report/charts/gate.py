"""The history of the gate: the overhead of every cell from call to call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bench.measure import history
from bench.measure.history import HistoryEntry
from bench.records.latency_cell import LatencyCell
from bench.report.charts.form import Axis, Mark, picture
from bench.report.charts.points import Points
from bench.report.section import Picture

Course = tuple[HistoryEntry, ...]


def pictures(entries: Iterable[HistoryEntry]) -> Iterator[Picture]:
    """A panel per machine, a line per cell, the limits; none where nothing was measured."""
    courses = [one for one in history.series(entries) if any(entry.ratio for entry in one)]
    machines: dict[str, list[Course]] = {}
    for course in courses:
        name = f"{course[0].cpu}, {course[0].cores} cores"
        machines.setdefault(name, []).append(course)
    if not machines:
        return
    yield picture(
        "gate-history",
        "History of the gate",
        (mark for name, group in machines.items() for mark in _marks(name, group)),
        Points(Axis("call of the gate"), Axis("overhead, % of forward", log=True), joined=True),
        (
            "Overhead of each cell at each call of bench gate, with its 95 % interval. A gap: "
            "nothing was measured.",
        ),
    )


def _marks(name: str, courses: Sequence[Course]) -> Iterator[Mark]:
    """All lines have all calls of their panel, so that the calls are in order."""
    times = sorted({entry.time for course in courses for entry in course})
    rest = sorted({entry.limit for course in courses for entry in course})
    cells = [course[0].cell for course in courses]
    fields = LatencyCell.model_fields
    alone = {axis for axis in fields if len({getattr(cell, axis) for cell in cells}) == 1}
    for course in courses:
        label, at = _label(course[0], alone), {entry.time: entry for entry in course}
        for time, date in zip(times, dates(times), strict=True):
            entry, rule = at.get(time), rest.pop(0) if rest else None
            ratio = entry.ratio if entry else None
            yield {
                "panel": name,
                "series": label,
                "x": date,
                "y": 100 * ratio.estimate if ratio else None,
                "low": 100 * ratio.low if ratio else None,
                "high": 100 * ratio.high if ratio else None,
                "rule": None if rule is None else 100 * rule,
                "rule_text": None if rule is None else f"limit {100 * rule:g} %",
                "text": _text(label, entry) if entry else "",
                "base": course[0].cell.base,
                "backend": course[0].cell.backend,
            }


def _label(entry: HistoryEntry, alone: Iterable[str]) -> str:
    """The base and the backend, and what else tells the cell from the others of its panel."""
    cell, alike = entry.cell, {*alone, "base", "backend"}
    told = {"size": f"({cell.size:,})", "precision": cell.precision, "student": cell.student}
    told["lengths"] = cell.lengths
    rest = [told.get(axis, f"{axis} {value}") for axis, value in cell if axis not in alike]
    return " ".join((cell.base, cell.backend, *rest))


def dates(times: Sequence[str]) -> tuple[str, ...]:
    """No longer than it takes to tell the calls apart: to the day, the minute or the second.

    >>> dates(["2026-11-20T20:29:44+00:00", "2026-11-21T20:29:44+00:00"])
    ('2026-11-20', '2026-11-21')
    >>> dates(["2026-11-20T20:29:44+00:00", "2026-11-20T21:29:44+00:00"])
    ('2026-11-20 20:29', '2026-11-20 21:29')
    """
    for length in (10, 16, 19):
        short = tuple(time[:length].replace("T", " ") for time in times)
        if len(set(short)) == len(set(times)):
            return short
    return tuple(times)


def _text(label: str, entry: HistoryEntry) -> str:
    ratio = entry.ratio
    told = "nothing measured"
    if ratio is not None:
        low, high = 100 * ratio.low, 100 * ratio.high
        told = f"{100 * ratio.estimate:.2f} % [{low:.2f}, {high:.2f}]"
    commit = entry.commit or "no commit"
    return f"{label}: {told}, {entry.verdict}; {commit}{'+' if entry.dirty else ''}, {entry.time}"
