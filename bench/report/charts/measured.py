"""Pictures of measurements: overhead, recall against added time, resident memory."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from bench.report.charts.forms import Axis, Form, Mark, of, picture, with_levels
from bench.report.charts.spread import percent
from bench.report.frame import Row, rows
from bench.report.names import backend
from bench.report.reduced import entries, variant, whole
from bench.report.section import Picture

if TYPE_CHECKING:
    from pandas import DataFrame

MB = 1e6
PLACE = ("base", "backend", "batch", "k")
"""Fields of a cell that ``--select`` knows."""

SIZE = Axis("entries of the knowledge base", log=True)


def overhead(frame: DataFrame) -> Iterator[Picture]:
    """A panel per batch and precision, a line per backend, the limit and the noise floor."""
    lines = rows(frame)
    shown = [row for row in lines if row.result is not None]
    if not shown:
        return
    marks: list[Mark] = []
    for panel, group in _panels(shown).items():
        limits = {100 * row.limit: f"limit {100 * row.limit:g} %" for row in group}
        floor = noise_floor(group)
        levels = dict(sorted(limits.items())) | {floor: f"noise floor {floor:.2g} %"}
        backends = list(dict.fromkeys(row.cell.backend for row in group))
        group.sort(key=lambda row: backends.index(row.cell.backend))
        marks += with_levels([_overhead(panel, row) for row in group], levels)
    notes = [
        "Overhead: what retrieval adds / the student's forward of the same batch, with its "
        "95 % bootstrap interval over processes and inputs.",
        "Noise floor: of forward against forward, the larger end of its interval (median of "
        "the cells). A difference of two end-to-end times below it could not be seen; the "
        "overhead is a direct ratio within one loop and can be.",
    ]
    if missing := len(lines) - len(shown):
        notes.append(f"Cells without figures, not drawn: {missing}.")
    verdicts = Counter(row.verdict or row.status for row in shown).most_common()
    lead = f"{', '.join(f'{count} {verdict}' for verdict, count in verdicts)}."
    title = "Overhead of retrieval against the size of the knowledge base"
    form = Form("lines", SIZE, Axis("overhead, % of forward", log=True))
    yield picture("overhead", title, marks, form, notes, lead)


def _overhead(panel: str, row: Row) -> Mark:
    ratio, cost = percent(row.result.ratio), row.result
    text = (
        f"{_named(row)}: {ratio:%}, {row.verdict or row.status}; {cost.added.p50:.3f} ms on a "
        f"forward of {cost.forward.p50:.1f} ms"
    )
    at = {"panel": panel, "series": row.cell.backend, "x": whole(row.cell), **ratio.at("y")}
    return {**at, "text": text, **of(row.cell, *PLACE)}


def noise_floor(lines: Sequence[Row]) -> float:
    """Percent: the median over cells of the end of the A/A interval that is further from zero."""
    intervals = (row.result.noise for row in lines)
    return float(100 * statistics.median(max(abs(i.low), abs(i.high)) for i in intervals))


def recall(frame: DataFrame) -> Iterator[Picture]:
    """A panel per batch and precision, a point per knowledge base."""
    shown = [row for row in rows(frame) if row.result is not None and row.index is not None]
    if len({row.cell.backend for row in shown}) < 2:
        return
    marks: list[Mark] = []
    for panel, group in _panels(shown).items():
        for row in group:
            share, time = 100 * row.index.recall, row.result.added.p50
            text = f"{_named(row)}: {share:.2f} % in {time:.3f} ms, effort {row.index.effort}"
            mark = {"panel": panel, "series": row.cell.backend, "x": time, "y": share}
            marks.append({**mark, "text": text, **of(row.cell, *PLACE)})
    note = (
        "A point is a knowledge base; the larger it is, the further right. Recall of queries that "
        "the search effort was not tuned on; each backend's effort is tuned to the same target."
    )
    form = Form("points", Axis("added time, ms per batch (median)", log=True), Axis("recall, %"))
    title = "Recall against the time that retrieval adds"
    yield picture("recall-by-added-time", title, marks, form, (note,))


def _panels(lines: Sequence[Row]) -> dict[str, list[Row]]:
    """The cells of each setting, in order of the batch, the smallest base first."""

    def order(row: Row) -> tuple[Any, ...]:
        return row.cell.batch, row.cell.size, row.cell.backend != "exact", row.cell.backend

    groups: dict[str, list[Row]] = {}
    for row in sorted(lines, key=order):
        groups.setdefault(row.setting, []).append(row)
    return groups


def _named(row: Row) -> str:
    return f"{row.cell.base} ({entries(row.cell)}), {backend(row)}"


def memory(frame: DataFrame) -> Iterator[Picture]:
    """A line per backend, a panel per k; none where nothing was measured."""
    lines = [row for row in rows(frame) if row.resident is not None and row.resident > 0]
    lines.sort(key=lambda row: (row.k, variant(row), row.backend != "exact", row.backend, row.size))
    marks: list[Mark] = []
    for row in lines:
        grown = row.resident / MB
        text = f"{row.base} ({entries(row)} x {row.dim}), {row.backend}: {grown:,.1f} MB"
        panel = ", ".join(filter(None, [f"k {row.k}", variant(row)]))
        mark = {"panel": panel, "series": row.backend, "x": whole(row), "y": grown}
        marks.append({**mark, "text": text, **of(row, "base", "backend", "k")})
    if marks:
        form = Form("lines", SIZE, Axis("resident, MB", log=True))
        title = "Resident memory against the size of the knowledge base"
        note = "Growth of anonymous memory and of mapped files, after load and queries."
        yield picture("resident-memory", title, marks, form, (note,))
