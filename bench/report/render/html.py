"""The report as one page: a file that opens anywhere, asks no network for anything, and prints."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from bench.report.build import Part, Report
from bench.report.charts import export
from bench.report.charts.palette import COLOURS, SHAPES, Style, styles, variable
from bench.report.commands import Commands
from bench.report.frame import flat
from bench.report.names import Names
from bench.report.section import Picture
from bench.report.table import EMPTY, Table

REFRESH = 15
"""Seconds after which the page of a run that is still going on is asked for again."""

PATIENCE = 10
"""Times the seconds of a making that a page waits at least: else a large run does nothing else."""

TALL = 30
"""Rows beyond which a table scrolls in a box of its own, below its header."""

SHOWN = 400
"""Values of a picture that its table lists; all of them are in the CSV of its section."""

TAKEN = ("about", "content", "contents", "headline", "reproduce", "said", "theme", "tools")
"""Anchors of the page itself."""

WIDTHS = {"portrait": 105, "snug": 140, "landscape": 185}
"""Widest line in characters that an A4 page holds: upright, in smaller type, and across."""

ANSWERS = ("off-on", "differences", "overhead", "gate-history", "resident-memory", "seeds")
"""Pictures that may stand beside what was found, the best first."""

TONES = {
    "good": {"holds", "better", "verified"},
    "bad": {"fails", "worse", "failed", "unreadable"},
    "unsure": {"undecided", "skipped", "missing", "recalled"},
}
MARKS = {"✓": "good", "✗": "bad", "?": "unsure"}

_SPREAD = re.compile(r"(?P<value>.*?\d%?)(?P<rest> ±.*| \[.*\]| \(\d+\))")
_CODE = re.compile(r"`([^`]+)`")
_FACT = re.compile(r"(?P<name>[A-Z][A-Za-z ]{2,30}): (?P<value>.+)", re.DOTALL)


@dataclass(frozen=True)
class ShownTable:
    """A table with its place on the page.

    Attributes:
        number: among all tables, from 1; 0 for the values of a picture.
        keys: per row and column what it is sorted by; empty: by its text.
        runs: per row the number of the command that makes it again, or None.
    """

    table: Table
    anchor: str
    number: int = 0
    keys: tuple[tuple[str, ...], ...] = ()
    runs: tuple[int | None, ...] = ()

    @property
    def tall(self) -> bool:
        """Whether it scrolls in its own box."""
        return len(self.table.rows) > TALL

    @property
    def paper(self) -> str:
        """How it fits on A4: one of :data:`WIDTHS`, or ``dense`` beyond them all."""
        width = 0
        for name, *cells in zip(self.table.columns, *self.table.rows, strict=True):
            words = max(map(len, name.split()), default=0)  # a heading is folded between words
            width += 2 + max([words, *(min(len(cell), 40) for cell in cells)])
        return next((kind for kind, most in WIDTHS.items() if width <= most), "dense")


@dataclass(frozen=True)
class ShownPicture:
    """A picture with its place on the page, its panels as SVG, and its values as a table."""

    picture: Picture
    anchor: str
    number: int
    panels: tuple[Markup, ...]
    values: ShownTable

    @property
    def legend(self) -> tuple[tuple[str, Style], ...]:
        """The series with their looks, where there are several."""
        frame = self.picture.frame
        known = styles(frame["series"].dropna()) if "series" in frame else {}
        return tuple(known.items()) if len(known) > 1 else ()


@dataclass(frozen=True)
class ShownSection:
    """A section with its place on the page: pictures, then tables."""

    title: str
    anchor: str
    about: bool
    pictures: tuple[ShownPicture, ...]
    tables: tuple[ShownTable, ...]

    @property
    def across(self) -> bool:
        """Whether it is printed on pages that lie across: with a table, its heading turns too."""
        return any(table.paper in ("landscape", "dense") for table in self.tables)


def render(report: Report, *, command: str, live: bool = False, seconds: float = 0) -> str:
    """The report as HTML that needs no other file.

    Args:
        report: what is shown.
        command: the command line that makes this page, e.g. ``bench report results/runs/mini``.
        live: whether the run is still going on: the page asks for itself again every
            :data:`REFRESH` seconds, until it is told to stop.
        seconds: that making the report took; the page then waits at least :data:`PATIENCE` times
            as long.
    """
    page = _Page(report)
    sections = page.sections()
    pictures = {one.picture.name: one for section in sections for one in section.pictures}
    environment = _environment()
    return environment.get_template("report.html.j2").render(
        report=report,
        sections=sections,
        answer=next((pictures[name] for name in ANSWERS if name in pictures), None),
        commands=[(text, what) for text, (_, what) in page.commands.items()],
        run_commands=list(dict.fromkeys(_run_commands(report))),
        page_command=command,
        meta=list(_meta(report)),
        colours=COLOURS,
        shapes=SHAPES,
        refresh=max(REFRESH, ceil(PATIENCE * seconds)) if live else None,
        empty=EMPTY,
        source=lambda name: Markup(environment.loader.get_source(environment, name)[0]),  # type: ignore[union-attr]
    )


class _Page:
    """Gives out numbers, anchors and commands in the order of the page."""

    def __init__(self, report: Report) -> None:
        self.commands: dict[str, tuple[int, str]] = {}
        self._report = report
        self._of, self._names = Commands(report), Names("part", TAKEN)
        self._tables = self._pictures = 0

    def sections(self) -> list[ShownSection]:
        """Parts under one heading together; what is about the run comes last."""
        groups: dict[str, list[Part]] = {}
        for part in self._report.parts:
            if part.shown:
                groups.setdefault(part.section.heading, []).append(part)
        shown = sorted(groups.items(), key=lambda item: item[1][0].section.about)
        return [self._section(name, parts) for name, parts in shown]

    def _section(self, name: str, parts: Sequence[Part]) -> ShownSection:
        pictures = [self._picture(one) for part in parts for one in part.pictures]
        tables = [table for part in parts for table in self._of_part(part)]
        title, about = parts[0].section.title, parts[0].section.about
        return ShownSection(title, self._names.of(name), about, tuple(pictures), tuple(tables))

    def _of_part(self, part: Part) -> Iterator[ShownTable]:
        if not part.views:  # strings from elsewhere
            for table in part.tables:
                yield self._table(table)
        for view in part.views:
            lines = view.lines(part.frame)
            columns = view.shown(lines)
            keys = tuple(tuple(sort_key(c.of(line)) for c in columns) for line in lines)
            runs = tuple(self._run(self._of.line(part, view, line)) for line in lines)
            yield self._table(view.of(lines), keys, runs if any(runs) else ())

    def _table(
        self,
        table: Table,
        keys: tuple[tuple[str, ...], ...] = (),
        runs: tuple[int | None, ...] = (),
    ) -> ShownTable:
        self._tables += 1
        anchor = self._names.of(f"table-{self._tables}")
        return ShownTable(table, anchor, self._tables, keys, runs)

    def _picture(self, picture: Picture) -> ShownPicture:
        self._pictures += 1
        anchor = self._names.of(f"figure-{picture.name}")
        panels = tuple(map(Markup, export.panels(picture)))
        values_at = ShownTable(values(picture), self._names.of(f"{anchor}-values"))
        return ShownPicture(picture, anchor, self._pictures, panels, values_at)

    def _run(self, named: tuple[str, str] | None) -> int | None:
        if named is None:
            return None
        command, what = named
        return self.commands.setdefault(command, (len(self.commands) + 1, what))[0]


def values(picture: Picture) -> Table:
    """The values that a picture draws, for whoever cannot see it."""
    marks = flat(picture.frame)
    form: Any = picture.draw
    titles = {
        "panel": "panel",
        "series": "series",
        "x": _words(form.x.title),
        "y": _words(form.y.title),
        "depth": "value",
        "low": "low",
        "high": "high",
    }
    names = [name for name in titles if any(mark.get(name) is not None for mark in marks)]
    texts = {name for name in names if any(isinstance(mark.get(name), str) for mark in marks)}
    names.sort(key=lambda name: name not in texts)
    rows = [tuple(_number(mark.get(name)) for name in names) for mark in marks]
    hidden = len(rows) - SHOWN
    notes = [f"{hidden:,} more values are in the CSV of this section."] if hidden > 0 else []
    levels = {m["rule"]: m.get("rule_text") for m in marks if m.get("rule_text")}
    notes += [f"Line at {_number(level)}: {text}." for level, text in levels.items()]
    columns = tuple(titles[name] for name in names)
    return Table("Values", columns, tuple(rows[:SHOWN]), len(texts), tuple(notes))


def _words(title: str) -> str:
    return title.format(metric="score") or "row"


def _number(value: Any) -> str:
    if value is None:
        return EMPTY
    return value if isinstance(value, str) else f"{value:.6g}"


def sort_key(value: Any) -> str:
    """What a cell is sorted by, where that is a number; empty where it is its text.

    >>> sort_key(0.5), sort_key("kd"), sort_key(None), sort_key([8, 16])
    ('0.5', '', '', '8')
    """
    for name in ("mean", "estimate"):
        value = getattr(value, name, value)
    if isinstance(value, list | tuple) and value:
        value = value[0]
    if isinstance(value, float):
        return f"{value:.5g}"  # more digits than any cell shows
    return f"{value:d}" if isinstance(value, int) else ""


def prose(text: str) -> Markup:
    """A sentence; what stands between backticks is set as code.

    >>> prose("run `bench report` <now>")
    Markup('run <code>bench report</code> &lt;now&gt;')
    """
    parts = _CODE.split(text)
    shown = [
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(parts)
    ]
    return Markup("").join(shown)


def figures(text: str) -> Markup:
    """A cell with figures: what qualifies the first of them is set quieter.

    >>> figures("84.31 ± 0.52 (3)")
    Markup('84.31<small> ± 0.52 (3)</small>')
    """
    match = _SPREAD.fullmatch(text)
    if match is None:
        return escape(text)
    return Markup("{}<small>{}</small>").format(match["value"], match["rest"])


def tone(text: str) -> str:
    """The class of a cell that is a verdict or ends in the mark of one; else empty.

    >>> tone("3.38 ✗"), tone("holds"), tone("–"), tone("kd")
    ('bad', 'good', 'none', '')
    """
    if text == EMPTY:
        return "none"
    for name, words in TONES.items():
        if text in words:
            return name
    return MARKS.get(text[-1:], "") if text[-2:-1] == " " else ""


def fact(sentence: str) -> tuple[str, str] | None:
    """Name and value of a sentence like ``Pooling: mean.``, None for any other.

    >>> fact("Pooling: mean.")
    ('Pooling', 'mean')
    """
    match = _FACT.fullmatch(sentence)
    if match is None or match["name"] == "Warning":
        return None
    return match["name"], match["value"].removesuffix(".")


def _run_commands(report: Report) -> Iterator[str]:
    run = report.about.get("run") or {}
    for one in (*(run.get("merged") or ()), run, *(report.about.get("plans") or ())):
        if one.get("command"):
            yield str(one["command"])


def _meta(report: Report) -> Iterator[tuple[str, str]]:
    facts = report.about.get("provenance") or {}
    for name in ("project", "CPU", "cores", "finished"):
        if known := [value for value in facts.get(name) or [] if value]:
            more = f" and {len(known) - 1} more" if len(known) > 1 else ""
            # Seconds and offset of a time say nothing here; they are in the provenance.
            short = re.sub(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\d\+00:00", r"\1 \2 UTC", known[0])
            yield name, f"{short}{more}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("bench.report.render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = {"prose": prose, "figures": figures, "tone": tone, "fact": fact, "variable": variable}
    environment.filters |= filters
    environment.tests["fact"] = lambda sentence: fact(sentence) is not None
    return environment
