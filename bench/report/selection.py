"""What of a report is shown: some sections, some rows, a table per value of a column.

Selecting changes what is shown, never what was computed: a correction for many comparisons or an
average over tasks is that of the whole run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from bench.report.document import Report
from bench.report.narrow import Wanted, filtered, labels
from bench.report.sectioned import Section
from bench.report.table import Table
from reaugkd.errors import UnknownNameError, UserError
from reaugkd.registry import normal

SECTIONS = (
    "scores",
    "comparisons",
    "off-on",
    "published",
    "retrieval",
    "ann",
    "k",
    "beta-tau",
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


EVERYTHING = Selection()


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
    asked: dict[str, list[str]] = {}
    for one in selection.filters:
        asked.setdefault(one.column, []).append(one.text)
    wanted = [Wanted.of(report, column, texts) for column, texts in asked.items()]
    sections = _chosen(report, selection.sections)
    for each in wanted:
        sections = [kept for section in sections if (kept := filtered(section, each)) is not None]
    if selection.group_by is not None:
        sections = _grouped(sections, selection.group_by)
    return replace(report, lead=(*report.lead, *_told(selection)), sections=tuple(sections))


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


def _grouped(sections: Iterable[Section], column: str) -> list[Section]:
    sections, name = list(sections), normal(column)
    known = {label for one in sections for t in one.tables if t.rows for label in labels(t)}
    if name not in known:
        raise UnknownNameError("column", column, known)
    return [
        replace(one, tables=tuple(part for table in one.tables for part in _split(table, name)))
        for one in sections
    ]


def _split(table: Table, column: str) -> Iterator[Table]:
    """One table per value; the column goes into the title unless it is the only label."""
    if column not in (names := labels(table)) or not table.rows:
        yield table
        return
    at, alone = names.index(column), table.labels == 1
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
