"""A table ready to be shown: strings, with no knowledge of where."""

from __future__ import annotations

from dataclasses import dataclass

EMPTY = "–"
"""What stands in a cell that has no value."""


@dataclass(frozen=True)
class Table:
    """A table: as many cells per row as there are columns.

    Attributes:
        title: heading.
        columns: names.
        rows: cells.
        labels: how many of the first columns are labels (set left); the others are figures.
        notes: sentences below the table.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    labels: int = 1
    notes: tuple[str, ...] = ()
