"""What the page shows, in its order: sections, numbered tables and pictures, commands, settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.report.commands_old import Commands
from bench.report.document import Report
from bench.report.figure import Figure, Panel, Value
from bench.report.names import Names
from bench.report.sectioned import Section
from bench.report.table import EMPTY, Table

TALL = 30
"""Rows beyond which a table scrolls in a box of its own, below its header."""

SHOWN = 400
"""Values of a picture that its table lists; all of them are in the CSV of its section."""

TAKEN = ("about", "content", "contents", "headline", "reproduce", "said", "theme", "tools")
"""Anchors of the page itself."""

WIDTHS = {"portrait": 105, "snug": 140, "landscape": 185}
"""Widest line in characters that an A4 page holds: upright, in smaller type, and across."""


@dataclass(frozen=True)
class ShownTable:
    """A table with its place on the page.

    Attributes:
        number: among all tables, from 1; 0 for the figures of a picture.
        runs: per row the number of the command that makes it again, or None.
        paper: how it fits on A4: one of :data:`WIDTHS`, or ``dense`` beyond them all.
    """

    table: Table
    anchor: str
    number: int = 0
    runs: tuple[int | None, ...] = ()
    paper: str = "portrait"

    @property
    def tall(self) -> bool:
        """Whether it scrolls in its own box."""
        return len(self.table.rows) > TALL


@dataclass(frozen=True)
class ShownFigure:
    """A picture with its place on the page, and its values as tables."""

    figure: Figure
    anchor: str
    number: int
    values: tuple[Table, ...]


@dataclass(frozen=True)
class ShownSection:
    """A section with its place on the page."""

    title: str
    anchor: str
    about: bool
    tables: tuple[ShownTable, ...] = ()
    figures: tuple[ShownFigure, ...] = ()

    @property
    def across(self) -> bool:
        """Whether it is printed on pages that lie across: with a table, its heading turns too."""
        return any(table.paper in ("landscape", "dense") for table in self.tables)


@dataclass(frozen=True)
class Outline:
    """The page.

    Attributes:
        commands: distinct commands of rows, each with the rows it makes in words.
        run_commands: of the whole run, or of each plan of measurements; those that are known.
        page_command: of this page.
        meta: a few facts that stand below the title.
    """

    title: str
    headline: tuple[str, ...]
    lead: tuple[str, ...]
    sections: tuple[ShownSection, ...]
    commands: tuple[tuple[str, str], ...]
    run_commands: tuple[str, ...]
    page_command: str
    meta: tuple[tuple[str, str], ...]

    @property
    def figures(self) -> tuple[ShownFigure, ...]:
        """Those of all sections."""
        return tuple(figure for section in self.sections for figure in section.figures)


def outline(report: Report, command: str) -> Outline:
    """The page of ``report``; numbers and anchors are given out in the order of the page."""
    shown = _Shown(Commands(report))
    about = [section for section in report.sections if section.about]
    sections = [shown.section(one) for one in report.sections if not one.about]
    sections += [shown.section(one) for one in about]
    return Outline(
        title=report.title,
        headline=report.headline,
        lead=report.lead,
        sections=tuple(sections),
        commands=tuple((command, what) for command, (_, what) in shown.commands.items()),
        run_commands=tuple(dict.fromkeys(_run_commands(report.data))),
        page_command=command,
        meta=tuple(_meta(report.data)),
    )


class _Shown:
    """Gives out numbers, anchors and commands."""

    def __init__(self, commands: Commands) -> None:
        self.commands: dict[str, tuple[int, str]] = {}
        self._of, self._names = commands, Names("part", TAKEN)
        self._tables = self._figures = 0

    def section(self, section: Section) -> ShownSection:
        anchor = self._names.of(section.name)
        return ShownSection(
            title=section.title,
            anchor=anchor,
            about=section.about,
            tables=tuple(self._table(section, table) for table in section.tables),
            figures=tuple(self._figure(figure) for figure in section.figures),
        )

    def _table(self, section: Section, table: Table) -> ShownTable:
        self._tables += 1
        runs = tuple(self._run(self._of.row(section, table, row)) for row in table.rows)
        return ShownTable(
            table=table,
            anchor=self._names.of(f"table-{self._tables}"),
            number=self._tables,
            runs=runs if any(run is not None for run in runs) else (),
            paper=paper(table),
        )

    def _figure(self, figure: Figure) -> ShownFigure:
        self._figures += 1
        return ShownFigure(
            figure=figure,
            anchor=self._names.of(f"figure-{figure.name}"),
            number=self._figures,
            values=tuple(values(panel) for panel in figure.panels),
        )

    def _run(self, found: tuple[str, str] | None) -> int | None:
        if found is None:
            return None
        command, what = found
        return self.commands.setdefault(command, (len(self.commands) + 1, what))[0]


def paper(table: Table) -> str:
    """How the table fits on A4, from the widest cell of each column.

    >>> paper(Table("t", ("a", "b"), (("x", "1"),)))
    'portrait'
    """
    columns = zip(table.columns, *table.rows, strict=True)
    width = 0
    for name, *cells in columns:
        words = max(map(len, name.split()), default=0)  # a heading is folded between words
        width += 2 + max([words, *(min(len(cell), 40) for cell in cells)])
    return next((kind for kind, most in WIDTHS.items() if width <= most), "dense")


def values(panel: Panel) -> Table:
    """The values that a panel draws, for whoever cannot see it."""
    interval = any(series.low for series in panel.series)
    rows = tuple(_values(panel, interval))
    columns = ("series", panel.x.label, panel.y.label, *(("low", "high") if interval else ()))
    hidden = len(rows) - SHOWN
    notes = (f"{hidden:,} more values are in the CSV of this section.",) if hidden > 0 else ()
    rules = tuple(f"Line at {_number(rule.y)}: {rule.label}." for rule in panel.rules)
    return Table(panel.title, columns, rows[:SHOWN], notes=(*rules, *notes))


def _values(panel: Panel, interval: bool) -> Iterator[tuple[str, ...]]:
    for series in panel.series:
        gap: tuple[float | None, ...] = (None,) * len(series.x)
        ends = zip(series.low or gap, series.high or gap, strict=True)
        for x, y, (low, high) in zip(series.x, series.y, ends, strict=True):
            yield (series.label, *map(_number, (x, y, low, high) if interval else (x, y)))


def _number(value: Value) -> str:
    if value is None:
        return EMPTY
    return value if isinstance(value, str) else f"{value:.6g}"


def _run_commands(data: dict[str, Any]) -> Iterator[str]:
    run = data.get("run") or {}
    for one in (*(run.get("merged") or ()), run, *(data.get("plans") or ())):
        if one.get("command"):
            yield str(one["command"])


def _meta(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    facts = data.get("provenance") or {}
    for name in ("project", "CPU", "cores", "finished"):
        if found := [value for value in facts.get(name) or [] if value]:
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            # Seconds and offset of a time say nothing here; they are in the provenance.
            short = re.sub(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\d\+00:00", r"\1 \2 UTC", found[0])
            yield name, f"{short}{more}"
