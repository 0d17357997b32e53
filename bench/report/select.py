"""What of a report is shown: some sections, some rows, a table per value of a column.

Choosing changes what is shown, never what was computed: a correction for many comparisons or an
average over tasks is that of the whole run. Rows are chosen by the values of their fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bench.report.frame import rows
from bench.report.section import Column, View
from reaugkd.errors import UnknownNameError, UserError
from reaugkd.registry import normal

if TYPE_CHECKING:
    from pandas import DataFrame

    from bench.report.document import Part, Report

SECTIONS = (
    "scores", "comparisons", "off-on", "published", "retrieval", "ann", "k", "beta-tau",
    "alignment", "attribution", "condensing", "effort", "training", "curves", "latency", "memory",
    "gate", "cells", "provenance",
)  # fmt: skip
"""Every section there can be; a report has those it has figures for."""


@dataclass(frozen=True)
class Selection:
    """What is shown; nothing given: everything.

    Attributes:
        sections: their names.
        filters: (column, values with commas between them); all must hold, of two for the same
            column one.
        group_by: a label column; tables that have it become one per value.
    """

    sections: tuple[str, ...] = ()
    filters: tuple[tuple[str, str], ...] = ()
    group_by: str | None = None


def parse(texts: Sequence[str], group_by: str | None = None) -> Selection:
    """What ``--select`` says, once per flag: ``scores,k``, ``task=mrpc,rte``, ``k,task=mrpc``.

    A part without ``=`` is a section; if it is none and follows a filter, it belongs to its value,
    so that ``index=faiss:IVF64,Flat`` needs no quoting.

    Raises:
        UnknownNameError: for a section that no report has.
        UserError: for a filter without a column or a value.
    """
    sections: list[str] = []
    filters: list[tuple[str, str]] = []
    for text in texts:
        in_filter = False
        for part in filter(None, map(str.strip, text.split(","))):
            name, equals, value = map(str.strip, part.partition("="))
            if equals:
                if not name or not value:
                    raise UserError(f"--select {part}: expected COLUMN=VALUE, e.g. task=mrpc")
                filters.append((normal(name), value))
                in_filter = True
            elif normal(part) in SECTIONS:
                sections.append(normal(part))
                in_filter = False
            elif in_filter:
                column, values = filters.pop()
                filters.append((column, f"{values},{part}"))
            else:
                raise UnknownNameError("section", part, SECTIONS)
    return Selection(tuple(sections), tuple(filters), group_by)


def apply(report: Report, selection: Selection) -> Report:
    """The report with what ``selection`` asks for.

    Raises:
        UserError: for a section that this report does not have.
        UnknownNameError: for a column or a value that it does not have.
    """
    headings = dict.fromkeys(part.section.heading for part in report.shown)
    for name in selection.sections:
        if name not in headings:
            has = ", ".join(headings) or "no sections"
            raise UserError(f"--select {name}: this report has no such section (it has: {has})")
    wanted: dict[str, set[str]] = {}
    for column, text in selection.filters:
        wanted.setdefault(column, set()).update(_keys(report, column, text))
    if "task" in wanted:
        wanted["task"] |= _tasks(report, wanted["task"])
    parts = [
        part
        for part in report.parts
        if not selection.sections or part.section.heading in selection.sections
    ]
    for column, keys in wanted.items():
        parts = [kept for part in parts if (kept := _filtered(part, column, keys)) is not None]
    if selection.group_by is not None:
        parts = _grouped(parts, selection.group_by)
    said = [", ".join(dict.fromkeys(selection.sections))] if selection.sections else []
    said += [f"{column} = {text}" for column, text in selection.filters]
    lead = [f"Only a part is shown: {'; '.join(said)} (--select)."] if said else []
    return replace(report, lead=(*report.lead, *lead), parts=tuple(parts))


def _filtered(part: Part, column: str, keys: set[str]) -> Part | None:
    """What is wanted of a part, None if that is nothing."""
    readers = _readers(part.frame, column, part.views)
    frame = _of_keys(part.frame, readers, keys)
    views = tuple(view for view in part.views if not readers or view.lines(frame))
    pictures = tuple(
        replace(picture, frame=marks)
        for picture in part.pictures
        for marks in [_of_keys(picture.frame, _readers(picture.frame, column), keys)]
        if len(marks) or not len(picture.frame)
    )
    if part.shown and not views and not pictures:
        return None
    return replace(part, frame=frame, views=views, pictures=pictures)


def _of_keys(frame: DataFrame, readers: Sequence[Column], keys: set[str]) -> DataFrame:
    if not readers:
        return frame
    return frame[[any(key(text) in keys for text in texts) for texts in _texts(frame, readers)]]


def _readers(frame: DataFrame, column: str, views: Sequence[View] = ()) -> list[Column]:
    """What says a row's values of a column: fields of the frame, and labels of that title."""
    name = column.replace("-", "_")
    names = [name, f"cell.{name}", *(["title"] if column == "task" else [])]
    labels = [label for view in views for label in view.labels if normal(label.title) == column]
    names += [key for label in labels for key in label.keys]
    fields = [Column(field, field) for field in dict.fromkeys(names) if field in frame]
    return fields + [label for label in dict.fromkeys(labels) if label.value not in names]


def _texts(frame: DataFrame, readers: Sequence[Column]) -> Iterator[list[str]]:
    """Per row the values that its readers say."""
    for row in rows(frame):
        yield [str(value) for reader in readers if (value := reader.of(row)) is not None]


def key(value: Any) -> str:
    """The form in which values are compared: letters, digits, points and commas.

    >>> key("STS-B"), key("mrpc*"), key(10)
    ('stsb', 'mrpc', '10')
    """
    text = str(value).strip()
    return "".join(sign for sign in text.casefold() if sign.isalnum() or sign in ".,") or text


def _keys(report: Report, column: str, text: str) -> Iterator[str]:
    """Keys of the values that ``text`` names, with commas between them and perhaps in them."""
    values: dict[str, str] = {}
    for part in report.parts:
        if readers := _readers(part.frame, column, part.views):
            texts = _texts(part.frame, readers)
            values |= {key(value): value for row in texts for value in row}
    if not values:
        raise UnknownNameError("column", column, _columns(report.parts))
    words = text.split(",")
    while words:
        sizes = range(len(words), 0, -1)
        size = next((n for n in sizes if key(",".join(words[:n])) in values), None)
        if size is None:
            raise UnknownNameError(column, words[0].strip(), values.values())
        yield key(",".join(words[:size]))
        words = words[size:]


def _tasks(report: Report, keys: set[str]) -> set[str]:
    """Tasks all of whose titles are among ``keys``: not every frame has titles."""
    titles: dict[str, set[str]] = {}
    for part in report.parts:
        if {"task", "title"} <= set(part.frame):
            for task, title in part.frame[["task", "title"]].itertuples(index=False):
                titles.setdefault(key(task), set()).add(key(title))
    return {task for task, of_task in titles.items() if of_task <= keys}


def _columns(parts: Sequence[Part]) -> set[str]:
    """Labels of tables that have rows."""
    views = [view for part in parts for view in part.views if view.lines(part.frame)]
    return {normal(label.title) for view in views for label in view.labels}


def _grouped(parts: Sequence[Part], column: str) -> list[Part]:
    """A table per value of a label; tables without it stay as they are."""
    if (name := normal(column)) not in (columns := _columns(parts)):
        raise UnknownNameError("column", column, columns)

    def views(part: Part) -> Iterator[View]:
        for view in part.views:
            label = next(
                (candidate for candidate in view.labels if normal(candidate.title) == name), None
            )
            if label is None or not view.lines(part.frame):
                yield view
            else:
                yield from view.split(part.frame, label)

    return [replace(part, views=tuple(views(part))) for part in parts]
