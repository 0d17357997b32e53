"""What was done to a measured knowledge base, as tables and pictures say it.

Rows of a frame have no ``reduction`` where no record of it has one.
"""

from __future__ import annotations

from typing import Any

from bench.records import measurement
from bench.records.measurement import Reduction
from bench.report.frame import Row


def reduction(cell: Row) -> Reduction | None:
    """What was done to the base of a measured cell."""
    part = getattr(cell, "reduction", None)
    return None if part is None else Reduction(**vars(part))


def variant(cell: Row) -> str:
    """The same in a few words."""
    done = reduction(cell)
    return "" if done is None else done.words


def entries(cell: Row) -> str:
    """The entries of its base, and of a condensed one those that it was made of."""
    done = reduction(cell)
    return measurement.entries(cell.size, None if done is None else done.rows)


def whole(cell: Any) -> int:
    """Entries of the base, or of the one that it was condensed from, by which bases stay apart."""
    done = getattr(cell, "reduction", None)
    size: int = (done and done.rows) or cell.size
    return size
