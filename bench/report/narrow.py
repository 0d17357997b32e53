"""Rows of a report by what a column says: which to keep, and what is of other tasks or methods."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from bench.report.document import Report
from bench.report.sectioned import Section
from bench.report.table import Table
from reaugkd.errors import UnknownNameError
from reaugkd.registry import normal

SPREAD = ("task", "method")
"""What may also stand in the heads of columns and panels, e.g. ``MRPC accuracy``, ``kd``."""

WORDS = ("task", "base", "kb")
"""Columns whose cells begin with a name and go on, e.g. ``MNLI matched``, ``mrpc* (3,668)``."""


@dataclass(frozen=True)
class Wanted:
    """A filter that knows the report.

    Attributes:
        column: its name.
        keys: comparable forms of the values to keep.
        others: those of the values to leave out.
    """

    column: str
    keys: frozenset[str]
    others: frozenset[str]

    @classmethod
    def of(cls, report: Report, column: str, texts: Iterable[str]) -> Wanted:
        """The filter of ``column`` by any of ``texts``.

        Raises:
            UnknownNameError: for a column or a value that the report does not have.
        """
        values = _values(report, column)
        if not values:
            raise UnknownNameError("column", column, _known_columns(report))
        alike = _aliases(report) if column == "task" else {}
        keys: set[str] = set()
        for text in texts:
            keys |= _found(column, text, values)
        keys |= {alike[key] for key in keys if key in alike}
        # A task has a name (mrpc) and a title (MRPC); both stand for it in one table or another.
        keys |= {key for key, other in alike.items() if other in keys}
        known = {key for value in values for key in _forms(column, value)[:1]}
        return cls(column, frozenset(keys), frozenset(known - keys))

    def keeps(self, cell: str) -> bool:
        """Whether a cell of the column says a value that is wanted."""
        return any(form in self.keys for form in _forms(self.column, cell))

    def drops(self, header: str) -> bool:
        """Whether a column or a panel is of another task or method."""
        if self.column not in SPREAD:
            return False
        forms = set(_forms(self.column, header))
        return bool(forms & self.others) and not forms & self.keys


def filtered(section: Section, wanted: Wanted) -> Section | None:
    """What is wanted of a section, None if that is nothing."""
    tables = [kept for table in section.tables if (kept := _rows(table, wanted)) is not None]
    if not tables:
        return None
    records = []
    for record in section.records:
        value = _attribute(record, wanted.column)
        if value is None or wanted.keeps(value):
            records.append(record)
    return replace(section, tables=tuple(tables), records=tuple(records))


def _rows(table: Table, wanted: Wanted) -> Table | None:
    """The table with the rows and columns that are wanted, None if nothing is left of it."""
    rows = table.rows
    if wanted.column in (names := labels(table)):
        at = names.index(wanted.column)
        rows = tuple(row for row in rows if wanted.keeps(row[at]))
        if not rows:
            return None
    kept = [
        number
        for number, name in enumerate(table.columns)
        if number < table.labels or not wanted.drops(name)
    ]
    if len(kept) == table.labels < len(table.columns):
        return None
    return replace(
        table,
        columns=tuple(table.columns[number] for number in kept),
        rows=tuple(tuple(row[number] for number in kept) for row in rows),
    )


def _found(column: str, text: str, values: Iterable[str]) -> set[str]:
    """Keys of the values that ``text`` names, with commas between them and perhaps in them."""
    forms = {form for value in values for form in _forms(column, value)}
    left, keys = text.split(","), set()
    while left:
        sizes = range(len(left), 0, -1)
        size = next((n for n in sizes if _key(",".join(left[:n])) in forms), None)
        if size is None:
            known = {_key(value): value for value in values}
            raise UnknownNameError(column, left[0].strip(), known.values())
        keys.add(_key(",".join(left[:size])))
        left = left[size:]
    return keys


def _key(text: str) -> str:
    """What is compared of a value: letters, digits and points.

    >>> _key("STS-B"), _key("mrpc*"), _key("–")
    ('stsb', 'mrpc', '–')
    """
    return re.sub(r"[^\w.]+|_", "", text.casefold()) or text.strip()


def _prefixes(text: str) -> list[str]:
    words = text.split()
    return [_key(" ".join(words[: n + 1])) for n in range(len(words))]


def _forms(column: str, cell: str) -> list[str]:
    return _prefixes(cell) if column in WORDS else [_key(cell)]


def labels(table: Table) -> tuple[str, ...]:
    """Names of the label columns, in the form in which names are compared."""
    return tuple(normal(name) for name in table.columns[: table.labels])


def _attribute(record: Any, column: str) -> str | None:
    """What a record says of a column: its own attribute, or that of its cell."""
    for owner in (record, getattr(record, "cell", None)):
        value = getattr(owner, column.replace("-", "_"), None)
        if isinstance(value, str | int):
            return str(value)
    return None


def _values(report: Report, column: str) -> list[str]:
    """Distinct values of a column in all tables and records."""
    found: dict[str, None] = {}
    for section in report.sections:
        for table in section.tables:
            if column in (names := labels(table)):
                found |= dict.fromkeys(row[names.index(column)] for row in table.rows)
        values = (_attribute(record, column) for record in section.records)
        found |= dict.fromkeys(value for value in values if value)
    return list(found)


def _known_columns(report: Report) -> set[str]:
    tables = {name for table in report.tables if table.rows for name in labels(table)}
    return tables | {name for name in SPREAD if _values(report, name)}


def _aliases(report: Report) -> dict[str, str]:
    """Key of a task's name -> key of its title, where it has one title: no splits of its own."""
    found: dict[str, set[str]] = {}
    for record in (one for section in report.sections for one in section.records):
        name, title = getattr(record, "task", None), getattr(record, "title", None)
        if isinstance(name, str) and isinstance(title, str):
            found.setdefault(_key(name), set()).add(_key(title))
    return {name: titles.pop() for name, titles in found.items() if len(titles) == 1}
