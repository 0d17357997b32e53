"""What of a report is shown: some sections, some rows, a table per value of a column.

Selecting changes what is shown, never what was computed: a correction for many comparisons or an
average over tasks is that of the whole run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.report.document import Report
from bench.report.section import Section
from bench.report.table import Table
from reaugkd.errors import UnknownNameError, UserError
from reaugkd.registry import normal

SECTIONS = (
    "scores",
    "comparisons",
    "off-on",
    "published",
    "retrieval",
    "k",
    "beta-tau",
    "costs",
    "alignment",
    "attribution",
    "effort",
    "training",
    "curves",
    "latency",
    "memory",
    "gate",
    "cells",
    "provenance",
)
"""Every section there can be; a report has those it has figures for."""

SPREAD = ("task", "method")
"""What may also stand in the heads of columns, e.g. ``MRPC accuracy``."""

WORDS = ("task", "base", "kb")
"""Columns whose cells begin with a name and go on, e.g. ``MNLI matched``, ``mrpc* (3,668)``."""


@dataclass(frozen=True)
class Filter:
    """Rows to keep: those whose ``column`` says ``text``, or one of its parts between commas."""

    column: str
    text: str


@dataclass(frozen=True)
class Selection:
    """What is shown; nothing given: everything.

    Attributes:
        sections: their names.
        filters: all must hold; of two for the same column, one.
        group_by: a label column; tables that have it become one per value.
    """

    sections: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()
    group_by: str | None = None

    def __bool__(self) -> bool:
        return bool(self.sections or self.filters or self.group_by)


def parse(texts: Sequence[str], group_by: str | None = None) -> Selection:
    """What ``--select`` says, once per flag: ``scores,k``, ``task=mrpc,rte``, ``k,task=mrpc``.

    A part without ``=`` is a section; if it is none and follows a filter, it belongs to its value,
    so that ``index=faiss:IVF64,Flat`` needs no quoting.

    Raises:
        UnknownNameError: for a section that no report has.
        UserError: for a filter without a column or a value.
    """
    sections: list[str] = []
    filters: list[Filter] = []
    for text in texts:
        last: Filter | None = None
        for part in (part.strip() for part in text.split(",")):
            name, equals, value = (one.strip() for one in part.partition("="))
            if equals:
                if not name or not value:
                    raise UserError(f"--select {part}: expected COLUMN=VALUE, e.g. task=mrpc")
                last = Filter(normal(name), value)
                filters.append(last)
            elif normal(part) in SECTIONS:
                sections.append(normal(part))
                last = None
            elif last is not None:
                last = replace(last, text=f"{last.text},{part}")
                filters[-1] = last
            elif part:
                raise UnknownNameError("section", part, SECTIONS)
    return Selection(tuple(sections), tuple(filters), group_by)


def apply(report: Report, selection: Selection) -> Report:
    """The report with what ``selection`` asks for; ``rows`` and ``data`` stay whole.

    Raises:
        UserError: for a section that this report does not have.
        UnknownNameError: for a column or a value that it does not have.
    """
    wanted = [_Wanted.of(column, report, selection) for column in _columns_of(selection)]
    sections = _chosen(report, selection.sections)
    for one in wanted:
        sections = [kept for section in sections if (kept := _filtered(section, one)) is not None]
    if selection.group_by is not None:
        sections = _grouped(sections, selection.group_by)
    return replace(report, lead=(*report.lead, *_told(selection)), sections=tuple(sections))


def _columns_of(selection: Selection) -> list[str]:
    return list(dict.fromkeys(one.column for one in selection.filters))


def _told(selection: Selection) -> Iterator[str]:
    parts = [", ".join(dict.fromkeys(selection.sections))] if selection.sections else []
    parts += [f"{one.column} = {one.text}" for one in selection.filters]
    if parts:
        yield f"Only a part is shown: {'; '.join(parts)} (--select)."


def _chosen(report: Report, names: Sequence[str]) -> list[Section]:
    there = {section.name: section for section in report.sections}
    for name in names:
        if name not in there:
            has = ", ".join(there) or "no sections"
            raise UserError(f"--select {name}: this report has no such section (it has: {has})")
    return [section for section in report.sections if not names or section.name in names]


@dataclass(frozen=True)
class _Wanted:
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
    def of(cls, column: str, report: Report, selection: Selection) -> _Wanted:
        values = _values(report, column)
        if not values:
            raise UnknownNameError("column", column, _known_columns(report))
        alike = _aliases(report) if column == "task" else {}
        keys: set[str] = set()
        for text in (one.text for one in selection.filters if one.column == column):
            keys |= _found(column, text, values)
        keys |= {alike[key] for key in keys if key in alike}
        # A task has a name (mrpc) and a title (MRPC); both stand for it in one table or another.
        keys |= {key for key, other in alike.items() if other in keys}
        known = {key for value in values for key in _forms(column, value)[:1]}
        return cls(column, frozenset(keys), frozenset(known - keys))

    def keeps(self, cell: str) -> bool:
        return any(form in self.keys for form in _forms(self.column, cell))

    def drops(self, header: str) -> bool:
        """Whether a column or a panel is of another task or method."""
        if self.column not in SPREAD:
            return False
        forms = _prefixes(header)
        return any(form in self.others for form in forms) and not self.keys & set(forms)


def _found(column: str, text: str, values: Iterable[str]) -> set[str]:
    """Keys of the value ``text``, else of its parts between commas."""
    forms = {form for value in values for form in _forms(column, value)}
    parts = [text] if _key(text) in forms else [part.strip() for part in text.split(",")]
    for part in parts:
        if _key(part) not in forms:
            raise UnknownNameError(column, part, {_key(value): value for value in values}.values())
    return {_key(part) for part in parts}


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


def _labels(table: Table) -> tuple[str, ...]:
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
            if column in (labels := _labels(table)):
                found |= dict.fromkeys(row[labels.index(column)] for row in table.rows)
        values = (_attribute(record, column) for record in section.records)
        found |= dict.fromkeys(value for value in values if value)
    return list(found)


def _known_columns(report: Report) -> set[str]:
    tables = {name for table in report.tables if table.rows for name in _labels(table)}
    return tables | {name for name in SPREAD if _values(report, name)}


def _aliases(report: Report) -> dict[str, str]:
    """Key of a task's name -> key of its title."""
    return {
        _key(record.task): _key(record.title)
        for section in report.sections
        for record in section.records
        if isinstance(getattr(record, "task", None), str)
        and isinstance(getattr(record, "title", None), str)
    }


def _filtered(section: Section, wanted: _Wanted) -> Section | None:
    tables = [kept for table in section.tables if (kept := _rows(table, wanted)) is not None]
    figures = []
    for figure in section.figures:
        panels = tuple(panel for panel in figure.panels if not wanted.drops(panel.title))
        if panels:
            figures.append(replace(figure, panels=panels))
    if not tables and not figures:
        return None
    records = []
    for record in section.records:
        value = _attribute(record, wanted.column)
        if value is None or wanted.keeps(value):
            records.append(record)
    return replace(
        section, tables=tuple(tables), figures=tuple(figures), records=tuple(records)
    )


def _rows(table: Table, wanted: _Wanted) -> Table | None:
    """The table with the rows and columns that are wanted, None if nothing is left of it."""
    labels = _labels(table)
    rows = table.rows
    if wanted.column in labels:
        at = labels.index(wanted.column)
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


def _grouped(sections: Iterable[Section], column: str) -> list[Section]:
    sections, name = list(sections), normal(column)
    known = {label for one in sections for t in one.tables if t.rows for label in _labels(t)}
    if name not in known:
        raise UnknownNameError("column", column, known)
    return [
        replace(one, tables=tuple(part for table in one.tables for part in _split(table, name)))
        for one in sections
    ]


def _split(table: Table, column: str) -> Iterator[Table]:
    """One table per value; the column goes into the title unless it is the only label."""
    labels = _labels(table)
    if column not in labels or not table.rows:
        yield table
        return
    at, alone = labels.index(column), table.labels == 1
    for value in dict.fromkeys(row[at] for row in table.rows):
        rows = [row for row in table.rows if row[at] == value]
        title = f"{table.title}, {table.columns[at]} {value}"
        if alone:
            yield replace(table, title=title, rows=tuple(rows))
            continue
        yield replace(
            table,
            title=title,
            columns=(*table.columns[:at], *table.columns[at + 1 :]),
            rows=tuple((*row[:at], *row[at + 1 :]) for row in rows),
            labels=table.labels - 1,
        )
