"""A part of a report: what was found, the tables and pictures that show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.report.table import Table


@dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes:
        name: of its files, its anchor and for ``--select``: lower case and ``-``.
        title: heading.
        tables: in the order they are shown.
        records: dataclasses behind the tables, in full precision; for CSV, Parquet and JSON.
        about: whether it is about the run instead of what was measured; shown last.
    """

    name: str
    title: str
    tables: tuple[Table, ...] = ()
    records: tuple[Any, ...] = ()
    about: bool = False
