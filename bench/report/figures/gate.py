"""The history of the gate: the overhead of every cell from call to call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.measure import history
from bench.measure.history import HistoryEntry
from bench.records.latency_cell import LatencyCell
from bench.report.figure import Axis, Figure, Panel, Rule, Series

Course = tuple[HistoryEntry, ...]

MOST_TOLD = 4
"""So many cells of a panel are told in words."""


def gate_history(entries: Iterable[HistoryEntry]) -> Figure | None:
    """A panel per machine, a line per cell, the limits; None where nothing was measured."""
    courses = [one for one in history.series(entries) if any(entry.ratio for entry in one)]
    machines: dict[tuple[str, int], list[Course]] = {}
    for course in courses:
        machines.setdefault((course[0].cpu, course[0].cores), []).append(course)
    if not machines:
        return None
    names = [f"{cpu}, {cores} cores" for cpu, cores in machines]
    groups = list(machines.values())
    return Figure(
        name="gate-history",
        title="History of the gate",
        alt=" ".join(_told(name, group) for name, group in zip(names, groups, strict=True)),
        panels=tuple(_panel(name, group) for name, group in zip(names, groups, strict=True)),
        notes=(
            "Overhead of each cell at each call of bench gate, with its 95 % interval. A gap: "
            "nothing was measured.",
        ),
    )


def _panel(name: str, courses: Sequence[Course]) -> Panel:
    times = sorted({entry.time for course in courses for entry in course})
    limits = sorted({entry.limit for course in courses for entry in course})
    cells = [course[0].cell for course in courses]
    fields = LatencyCell.model_fields
    alone = {axis for axis in fields if len({getattr(cell, axis) for cell in cells}) == 1}
    return Panel(
        name,
        Axis("call of the gate"),
        Axis("overhead, % of forward", log=True),
        tuple(_series(course, times, alone) for course in courses),
        tuple(Rule(f"limit {100 * limit:g} %", 100 * limit) for limit in limits),
    )


def _label(entry: HistoryEntry, alone: Iterable[str]) -> str:
    """The base and the backend, and what else tells the cell from the others of its panel."""
    cell, alike = entry.cell, {*alone, "base", "backend"}
    told = {"size": f"({cell.size:,})", "precision": cell.precision, "student": cell.student}
    told["lengths"] = cell.lengths
    rest = [told.get(axis, f"{axis} {value}") for axis, value in cell if axis not in alike]
    return " ".join((cell.base, cell.backend, *rest))


def _series(course: Course, times: Sequence[str], alone: Iterable[str]) -> Series:
    """All lines of a panel have all of its calls, so that the calls are in order."""
    label = _label(course[0], alone)
    at = {entry.time: entry for entry in course}
    found = [at.get(time) for time in times]
    ratios = [None if entry is None else entry.ratio for entry in found]
    return Series(
        label=label,
        x=_dates(times),
        y=tuple(None if ratio is None else 100 * ratio.estimate for ratio in ratios),
        low=tuple(None if ratio is None else 100 * ratio.low for ratio in ratios),
        high=tuple(None if ratio is None else 100 * ratio.high for ratio in ratios),
        texts=tuple("" if entry is None else _text(label, entry) for entry in found),
    )


def _dates(times: Sequence[str]) -> tuple[str, ...]:
    """No longer than it takes to tell the calls apart: to the day, the minute or the second.

    >>> _dates(["2026-11-20T20:29:44+00:00", "2026-11-21T20:29:44+00:00"])
    ('2026-11-20', '2026-11-21')
    >>> _dates(["2026-11-20T20:29:44+00:00", "2026-11-20T21:29:44+00:00"])
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


def _told(name: str, courses: Sequence[Course]) -> str:
    """Every cell where they are few, else those whose overhead is largest now."""
    ratios = [
        [100 * entry.ratio.estimate for entry in course if entry.ratio is not None]
        for course in courses
    ]
    order = sorted(range(len(courses)), key=lambda at: -ratios[at][-1])
    parts = [_course_told(courses[at], ratios[at]) for at in order[:MOST_TOLD]]
    told = f"{name}, first to last overhead (least to most), the largest first: {'; '.join(parts)}."
    if len(order) > MOST_TOLD:
        told += f" The other {len(order) - MOST_TOLD} cells end at or below "
        told += f"{ratios[order[MOST_TOLD]][-1]:.2f} %."
    return told


def _course_told(course: Course, ratios: Sequence[float]) -> str:
    reach = f"{ratios[0]:.2f} to {ratios[-1]:.2f} % ({min(ratios):.2f} to {max(ratios):.2f})"
    calls = f"{len(ratios)} call{'s' if len(ratios) > 1 else ''}"
    return f"{course[0].cell.label} {reach} over {calls}, now {course[-1].verdict}"
