"""A report of one section that is written down here, for the laws of what becomes of any."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bench.report.build import parts
from bench.report.document import Part, Report
from bench.report.frame import typed
from bench.report.inputs import ReportInputs
from bench.report.section import METHOD, TASK, Column, Picture, Section, View, across
from bench.report.table import Table

SHOWN = (TASK, METHOD, Column("score", "score", "{:.2f}".format))
LINES = tuple(
    {"task": task, "title": title, "method": method, "split": split, "score": score}
    for score, (task, title, split) in enumerate(
        (("mrpc", "MRPC", "dev"), ("mnli", "MNLI matched", "m"), ("mnli", "MNLI mismatched", "mm"))
    )
    for method in ("kd", "reaugkd")
)


def section(
    rows: Iterable[Mapping[str, Any]] = LINES,
    columns: tuple[Column, ...] = SHOWN,
    name: str = "scores",
    **more: Any,
) -> Section[ReportInputs]:
    """A section of given rows with one table."""
    frame = typed(rows)
    more.setdefault("views", lambda *_: (View("Scores", columns, ("A note.",)),))
    return Section(name, "Scores", lambda _: frame, **more)


def pivot() -> Section[ReportInputs]:
    """The same rows with a line per method and a column per title."""
    columns = (METHOD, *across(typed(LINES), "title", "score", "{:.2f}".format))
    return section(views=lambda *_: (View("Scores", columns, by=("method",)),))


def pictured() -> Section[ReportInputs]:
    """A section with a picture of its rows."""
    picture = Picture("points", "Points", "Points.", typed(LINES), lambda frame: len(frame))
    return section(pictures=lambda *_: (picture,))


def report(*sections: Section[ReportInputs], **more: Any) -> Report:
    """The report of some sections."""
    made: tuple[Part, ...] = parts(sections or (section(),), ReportInputs())
    values: dict[str, Any] = {"headline": ("KD won | or not.",), "lead": ("One seed.",)}
    return Report(**({"title": "small", "parts": made} | values | more))


def tables(*given: Table) -> Report:
    """The report of tables of strings, each as a frame of them."""
    return report(*(_section(table, number) for number, table in enumerate(given)))


def _section(table: Table, number: int) -> Section[ReportInputs]:
    rows = [{str(n): cell for n, cell in enumerate(row)} for row in table.rows]
    columns = tuple(
        Column(title, str(n), label=n < table.labels) for n, title in enumerate(table.columns)
    )
    view = View(table.title, columns, table.notes)
    more: dict[str, Any] = {"under": "scores"} if number else {}
    name = f"scores-{number}" if number else "scores"
    return section(rows, name=name, views=lambda *_: (view,), **more)
