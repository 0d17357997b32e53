"""What of a report is shown: some sections, some rows, a table per value of a column.

Choosing changes what is shown, never what was computed: a correction for many comparisons or an
average over tasks is that of the whole run. Rows are chosen by the values of their fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bench.report.frame import Row, rows
from bench.report.section import Column, value_of
from reaugkd.errors import UnknownNameError, UserError
from reaugkd.registry import normal

if TYPE_CHECKING:
    from pandas import DataFrame

    from bench.report.build import Part, Report

SECTIONS = (
    "scores", "comparisons", "off-on", "published", "retrieval", "ann", "k", "beta-tau",
    "alignment", "attribution", "effort", "training", "curves", "latency", "memory", "gate",
    "cells", "provenance",
)  # fmt: skip
"""Every section there can be; a report has those it has figures for."""

ALWAYS = ("task", "method")
"""Fields that rows are chosen by also where no table has them as a label."""


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
            name, equals, value = (word.strip() for word in part.partition("="))
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
    """The report with what ``selection`` asks for.

    Raises:
        UserError: for a section that this report does not have.
        UnknownNameError: for a column or a value that it does not have.
    """
    asked: dict[str, list[str]] = {}
    for one in selection.filters:
        asked.setdefault(one.column, []).append(one.text)
    wanted = {column: _keys(report, column, texts) for column, texts in asked.items()}
    parts = _chosen(report, selection.sections)
    for column, keys in wanted.items():
        parts = [kept for part in parts if (kept := filtered(part, column, keys)) is not None]
    if selection.group_by is not None:
        parts = _grouped(parts, selection.group_by)
    return replace(report, lead=(*report.lead, *_told(selection)), parts=tuple(parts))


def filtered(part: Part, column: str, keys: frozenset[str]) -> Part | None:
    """What is wanted of a part, None if that is nothing."""
    frame = part.frame
    if readers := _readers(part, column):
        keep = [any(keys & set(_said(row, readers))) for row in rows(frame)]
        frame = frame[keep]
    views = tuple(view for view in part.views if not readers or view.lines(frame))
    pictures = tuple(
        replace(one, frame=kept)
        for one in part.pictures
        if len(kept := _of_picture(one.frame, column, keys)) or not len(one.frame)
    )
    if (part.views or part.pictures) and not views and not pictures:
        return None
    return replace(part, frame=frame, views=views, pictures=pictures)


def _of_picture(frame: DataFrame, column: str, keys: frozenset[str]) -> DataFrame:
    names = [name for name in _fields(column) if name in frame]
    if not names:
        return frame
    return frame[[bool(keys & set(_said(row, names))) for row in rows(frame)]]


def _fields(column: str) -> tuple[str, ...]:
    """Fields that a name of a column may stand for."""
    name = column.replace("-", "_")
    return (name, f"cell.{name}", *(("title",) if column == "task" else ()))


def _readers(part: Part, column: str) -> list[str | Column]:
    """What says a row's values of a column: fields of the frame, and labels of that title."""
    readers: list[str | Column] = [name for name in _fields(column) if name in part.frame]
    labels = (label for view in part.views for label in view.labels)
    for label in labels:
        if normal(label.title) == column:
            readers += [label, *label.keys]
    return list(dict.fromkeys(readers))


def _said(row: Row, readers: Iterable[str | Column]) -> Iterator[str]:
    for reader in readers:
        value = value_of(row, reader) if isinstance(reader, str) else reader.of(row)
        if value is not None:
            yield key(value)


def key(value: Any) -> str:
    """The form in which values are compared: letters, digits and points.

    >>> key("STS-B"), key("mrpc*"), key(10)
    ('stsb', 'mrpc', '10')
    """
    text = str(value).strip()
    return "".join(sign for sign in text.casefold() if sign.isalnum() or sign == ".") or text


def _keys(report: Report, column: str, texts: Iterable[str]) -> frozenset[str]:
    """Keys of the values that ``texts`` name."""
    values: dict[str, str] = {}
    for part in report.parts:
        readers = _readers(part, column)
        for row in rows(part.frame) if readers else ():
            for reader in readers:
                value = value_of(row, reader) if isinstance(reader, str) else reader.of(row)
                if value is not None:
                    values.setdefault(key(value), str(value))
    if not values:
        raise UnknownNameError("column", column, _known_columns(report))
    keys = {one for text in texts for one in _named(column, text, values)}
    if column == "task":  # a task has a name and a title; either stands for both
        keys |= {
            name for name, titles in _titles(report).items() if len(titles) == 1 and titles <= keys
        }
    return frozenset(keys)


def _named(column: str, text: str, values: dict[str, str]) -> Iterator[str]:
    """Keys in ``text``, with commas between them and perhaps in them."""
    left = text.split(",")
    while left:
        sizes = range(len(left), 0, -1)
        size = next((n for n in sizes if key(",".join(left[:n])) in values), None)
        if size is None:
            raise UnknownNameError(column, left[0].strip(), values.values())
        yield key(",".join(left[:size]))
        left = left[size:]


def _titles(report: Report) -> dict[str, set[str]]:
    """Key of a task's name -> keys of its titles: several where it has several test splits."""
    titles: dict[str, set[str]] = {}
    for part in report.parts:
        if {"task", "title"} <= set(part.frame):
            pairs = part.frame[["task", "title"]].drop_duplicates()
            for task, title in pairs.itertuples(index=False):
                titles.setdefault(key(task), set()).add(key(title))
    return titles


def _known_columns(report: Report) -> set[str]:
    labels = {
        normal(label.title)
        for part in report.parts
        if len(part.frame)
        for view in part.views
        for label in view.labels
    }
    return labels | {name for name in ALWAYS if any(name in part.frame for part in report.parts)}


def _told(selection: Selection) -> Iterator[str]:
    parts = [", ".join(dict.fromkeys(selection.sections))] if selection.sections else []
    parts += [f"{one.column} = {one.text}" for one in selection.filters]
    if parts:
        yield f"Only a part is shown: {'; '.join(parts)} (--select)."


def _chosen(report: Report, names: Sequence[str]) -> list[Part]:
    there = dict.fromkeys(part.section.heading for part in report.shown)
    for name in names:
        if name not in there:
            has = ", ".join(there) or "no sections"
            raise UserError(f"--select {name}: this report has no such section (it has: {has})")
    return [part for part in report.parts if not names or part.section.heading in names]


def _grouped(parts: Sequence[Part], column: str) -> list[Part]:
    """A table per value of a label; tables without it stay as they are."""
    name = normal(column)
    labels = [
        normal(label.title)
        for part in parts
        for view in part.views
        if view.lines(part.frame)
        for label in view.labels
    ]
    if name not in labels:
        raise UnknownNameError("column", column, set(labels))
    return [
        replace(part, views=tuple(one for view in part.views for one in _split(part, view, name)))
        for part in parts
    ]


def _split(part: Part, view: Any, name: str) -> Iterator[Any]:
    label = next((one for one in view.labels if normal(one.title) == name), None)
    if label is None or not view.lines(part.frame):
        yield view
    else:
        yield from view.split(part.frame, label)
