"""A gate's outcome as lines for a terminal and a table for the summary of a CI step."""

from __future__ import annotations

from collections import Counter
from typing import get_args

from bench.measure.gate import ERROR, HOLDS, OUTCOMES, UNDECIDED, Judged, Outcome, Ruling, percent
from bench.records.measurement import Interval
from bench.report.frame import Row, typed
from bench.report.names import arithmetic
from bench.report.reduced import variant
from bench.report.render.markdown import escape, grid
from bench.report.section import Column, View
from bench.report.table import EMPTY


def line(cell: Judged) -> str:
    """One cell on one line, with the reason if it does not hold."""
    what = cell.cell
    parts = (
        what.place,
        backend(cell),
        f"k {what.k}",
        f"batch {what.batch}",
        what.arithmetic,
        f"threads {what.threads}",
        what.lengths,
        f"overhead {interval(cell.ratio)}{skipping(cell)}",
        f"noise {interval(cell.noise)}",
        f"limit {percent(cell.limit)}",
        cell.verdict,
    )
    reason = f": {cell.reason}" if cell.reason else ""
    return " ".join(("  ".join(parts) + reason).split("\n"))


def backend(cell: Judged | Row) -> str:
    """The backend, and for ``auto`` what it stood for."""
    asked: str = cell.cell.backend
    return (
        asked if cell.index is None or cell.index.spec == asked else f"{asked} ({cell.index.spec})"
    )


def skipping(cell: Judged | Row) -> str:
    """Behind an overhead that is a mean: the share without a search, and one with a search."""
    seen = getattr(cell, "skipping", None)
    if seen is None:
        return ""
    return f" (mean, {seen.share:.0%} skipped; asked {interval(seen.asked_ratio)})"


def interval(ratio: Interval | None) -> str:
    """An overhead in percent.

    >>> interval(Interval(estimate=0.0061, low=0.0058, high=0.0066))
    '0.61% [0.58, 0.66]'
    """
    if ratio is None:
        return EMPTY
    return f"{100 * ratio.estimate:.2f}% [{100 * ratio.low:.2f}, {100 * ratio.high:.2f}]"


def verdict(outcome: Outcome) -> str:
    """The answer in one line: exit code, counts, what was passed over, and the notes."""
    counts = Counter(cell.verdict for cell in outcome.cells)
    passed = " (let pass)" if outcome.on_undecided == "pass" else ""
    details = [
        f"{counts[ruling]} {ruling}{passed if ruling == 'undecided' else ''}"
        for ruling in get_args(Ruling)
        if counts[ruling]
    ]
    if outcome.unusable:
        details.append(f"{len(outcome.unusable)} missing or unusable")
    cells = f"{len(outcome.cells)} cell{'s' if len(outcome.cells) != 1 else ''}"
    answer = f"{OUTCOMES[outcome.code]} (exit {outcome.code}): {cells}"
    shares = {outcome.limit} if outcome.limit is not None else {c.limit for c in outcome.cells}
    limits = f"limit{'s' * (len(shares) > 1)} {', '.join(map(percent, sorted(shares)))}"
    limit = f"{limits}: {', '.join(details) or 'nothing measured'}."
    return " ".join([f"{answer}, {limit}", *outcome.notes])


COLUMNS = (
    Column("base", lambda row: f"{row.cell.base} {variant(row.cell)}".rstrip(), label=True),
    Column("backend", backend, label=True),
    Column("precision", arithmetic, label=True),
    *(Column(axis, f"cell.{axis}", label=True) for axis in ("lengths", "student")),
    Column("verdict", "verdict", label=True),
    Column("entries", "cell.size", "{:,}".format),
    *(Column(axis, f"cell.{axis}") for axis in ("k", "batch", "threads")),
    Column("overhead [95 %]", lambda row: row.ratio and interval(row.ratio) + skipping(row)),
    Column("noise [95 %]", "noise", interval),
    Column("reason", "reason"),
)

MARKS = {HOLDS: "✅", ERROR: "⚠️", UNDECIDED: "❔"}
"""Before the heading; a failure has its own."""


def markdown(outcome: Outcome, title: str = "Overhead of retrieval") -> str:
    """The outcome for the summary of a CI step, one row per cell."""
    mark = MARKS.get(outcome.code, "❌")
    parts = [f"## {mark} {escape(title)}: {OUTCOMES[outcome.code]}", escape(verdict(outcome))]
    names = ("cell", "index", "ratio", "noise", "skipping", "verdict", "reason")
    cells = typed({name: getattr(cell, name) for name in names} for cell in outcome.cells)
    table = View("Cells", COLUMNS, outcome.notes).table(cells)
    parts += [grid(table)] if table.rows else []
    parts += [
        f"- {escape(str(problem.path))}: {escape(problem.reason)}" for problem in outcome.unusable
    ]
    return "\n\n".join(parts) + "\n\n"
