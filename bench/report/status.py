"""How many planned cells there are of each status, in a line."""

from __future__ import annotations

from collections import Counter
from typing import get_args

from bench.report.results import Results, Status


def in_short(results: Results) -> str:
    """One line, e.g. ``4 cells: 3 ok, 1 failed.``, and how many records are not shown."""
    counts = Counter(cell.status for cell in results.cells)
    parts = ", ".join(f"{counts[status]} {status}" for status in get_args(Status) if counts[status])
    line = f"{len(results.cells)} cells: {parts}." if results.cells else "No cells were planned."
    hidden = f" {results.others} records of cells outside the last plan are not shown."
    return line + (hidden if results.others else "")
