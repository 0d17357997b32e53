"""A table ready to be shown: strings, with no knowledge of where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

EMPTY = "–"
"""What stands in a cell that has no value."""


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        title: heading.
        columns: names.
        rows: cells, as many per row as there are columns.
        labels: how many of the first columns are labels (set left); the others are figures.
        notes: sentences below the table.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    labels: int = 1
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{self.title}: {len(row)} cells for {len(self.columns)} columns")


class Shown(Protocol):
    """What is shown of a report: made now, or kept."""

    @property
    def title(self) -> str:
        """Names the run."""

    @property
    def headline(self) -> tuple[str, ...]:
        """What was found."""

    @property
    def lead(self) -> tuple[str, ...]:
        """Sentences above the tables."""

    @property
    def tables(self) -> tuple[Table, ...]:
        """All that are shown."""
