"""The report as one page: a file that opens anywhere, asks no network for anything, and prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from math import ceil
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from bench.report.charts.export import panels
from bench.report.charts.forms import levels
from bench.report.charts.theme import COLOURS, SHAPES, VARIABLES, styles
from bench.report.commands import Commands
from bench.report.document import Part, Report
from bench.report.section import Picture, Section
from bench.report.table import EMPTY, Table

TEMPLATES = Path(__file__).parent / "templates"

REFRESH = 15
"""Seconds after which the page of a run that is still going on is asked for again."""

PATIENCE = 10
"""Times the seconds of a making that a page waits at least: else a large run does nothing else."""

SHOWN = 400
"""Values of a picture that its table lists; all of them are in the CSV of its section."""

WIDTHS = {"portrait": 105, "snug": 140, "landscape": 185}
"""Widest line in characters that an A4 page holds: upright, in smaller type, and across."""

ANSWERS = ("off-on", "differences", "overhead", "gate-history", "resident-memory", "seeds")
"""Pictures that may stand beside what was found, the best first."""

TONES = {
    **dict.fromkeys(("✓", "holds", "better", "verified"), "good"),
    **dict.fromkeys(("✗", "fails", "worse", "failed", "unreadable"), "bad"),
    **dict.fromkeys(("?", "undecided", "skipped", "missing", "recalled"), "unsure"),
    EMPTY: "none",
}
"""Verdict, or the mark of one -> class of a cell that ends in it."""


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
    keys: Sequence[Sequence[str]] = ()
    runs: Sequence[int | None] = ()

    @property
    def paper(self) -> str:
        """How it fits on A4: one of :data:`WIDTHS`, or ``dense`` beyond them all."""
        width = 0
        for name, *cells in zip(self.table.columns, *self.table.rows, strict=True):
            words = [len(word) for word in name.split()]  # a heading is folded between words
            width += 2 + max([0, *words, *(min(len(cell), 40) for cell in cells)])
        return next((kind for kind, most in WIDTHS.items() if width <= most), "dense")


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
    pictures = {shown["picture"].name: shown for part in sections for shown in part["pictures"]}
    return _template().render(
        report=report,
        sections=sections,
        answer=next((pictures[name] for name in ANSWERS if name in pictures), None),
        commands=[(text, what) for text, (_, what) in page.commands.items()],
        run_commands=_run_commands(report),
        page_command=command,
        meta=list(_meta(report)),
        colours=COLOURS,
        shapes=SHAPES,
        refresh=max(REFRESH, ceil(PATIENCE * seconds)) if live else None,
        source=lambda name: Markup((TEMPLATES / name).read_text("utf-8")),
    )


class _Page:
    """Gives out numbers and commands in the order of the page."""

    def __init__(self, report: Report) -> None:
        self.commands: dict[str, tuple[int, str]] = {}
        self._report, self._of = report, Commands(report)
        self._tables, self._pictures = count(1), count(1)

    def sections(self) -> list[dict[str, Any]]:
        """Parts under one heading together; what is about the run comes last."""
        headings: dict[str, list[Part]] = {}
        for part in self._report.parts:
            if part.shown:
                headings.setdefault(part.section.heading, []).append(part)
        shown = sorted(headings.values(), key=lambda parts: parts[0].section.about)
        return [self._section(parts[0].section, parts) for parts in shown]

    def _section(self, first: Section[Any], parts: Sequence[Part]) -> dict[str, Any]:
        pictures = [self._picture(picture) for part in parts for picture in part.pictures]
        tables = [table for part in parts for table in self._of_part(part)]
        return {
            "title": first.title,
            "anchor": first.heading,
            "about": first.about,
            "pictures": pictures,
            "tables": tables,
            # Printed on pages that lie across: with a table, its heading turns too.
            "across": any(table.paper in ("landscape", "dense") for table in tables),
        }

    def _of_part(self, part: Part) -> Iterator[ShownTable]:
        for view in part.views:
            lines = view.lines(part.frame)
            columns = view.shown(lines)
            keys = [[sort_key(column.of(line)) for column in columns] for line in lines]
            commands = [self._of.line(part, view, line) for line in lines]
            runs = [named and self._number(*named) for named in commands]
            number = next(self._tables)
            table = view.of(lines)
            yield ShownTable(table, f"table-{number}", number, keys, runs if any(runs) else ())

    def _number(self, command: str, what: str) -> int:
        return self.commands.setdefault(command, (len(self.commands) + 1, what))[0]

    def _picture(self, picture: Picture) -> dict[str, Any]:
        anchor, frame = f"figure-{picture.name}", picture.frame
        looks = styles(frame["series"].dropna()) if "series" in frame else {}
        return {
            "picture": picture,
            "anchor": anchor,
            "number": next(self._pictures),
            "panels": [Markup(panel) for panel in panels(picture)],
            "legend": list(looks.items()) if len(looks) > 1 else [],
            "listed": ShownTable(values(picture), f"{anchor}-values"),
        }


def values(picture: Picture) -> Table:
    """The values that a picture draws, for whoever cannot see it."""
    form: Any = picture.draw
    x, y = (axis.title.format(metric="score") or "row" for axis in (form.x, form.y))
    titles = {"panel": "panel", "series": "series", "x": x, "y": y, "depth": "value"}
    titles |= {"low": "low", "high": "high"}
    frame = picture.frame.reindex(columns=[*titles]).dropna(axis="columns", how="all")
    text = [name for name in frame if frame[name].map(type).eq(str).any()]
    frame = frame[[*text, *(name for name in frame if name not in text)]]
    rows = [tuple(map(_number, row)) for row in frame[:SHOWN].astype(object).to_numpy()]
    notes = [f"Line at {_number(m['rule'])}: {m['rule_text']}." for m in levels(picture.frame)]
    if len(frame) > SHOWN:
        notes.insert(0, f"{len(frame) - SHOWN:,} more values are in the CSV of this section.")
    columns = tuple(titles[str(name)] for name in frame)
    return Table("Values", columns, tuple(rows), len(text), tuple(notes))


def _number(value: Any) -> str:
    import pandas

    if pandas.isna(value):
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
    parts = text.split("`") if text.count("`") % 2 == 0 else [text]
    marks = Markup("{}"), Markup("<code>{}</code>")
    return Markup("").join(marks[n % 2].format(part) for n, part in enumerate(parts))


def figures(text: str) -> Markup:
    """A cell with figures: what qualifies the first of them is set quieter.

    >>> figures("84.31 ± 0.52 (3)")
    Markup('84.31<small> ± 0.52 (3)</small>')
    """
    places = [at for sign in (" ±", " [", " (") if (at := text.find(sign)) > 0]
    if not places or text[min(places) - 1] not in "0123456789%":
        return escape(text)
    return Markup("{}<small>{}</small>").format(text[: min(places)], text[min(places) :])


def fact(sentence: str) -> tuple[str, str] | None:
    """Name and value of a sentence like ``Pooling: mean.``, None for any other.

    >>> fact("Pooling: mean.")
    ('Pooling', 'mean')
    """
    name, sign, value = sentence.removesuffix(".").partition(": ")
    plain = name[:1].isupper() and len(name) < 32 and name.replace(" ", "").isalpha()
    return (name, value) if sign and plain and name != "Warning" else None


def _run_commands(report: Report) -> list[str]:
    run = report.about.get("run") or {}
    plans = (*(run.get("merged") or ()), run, *(report.about.get("plans") or ()))
    return list(dict.fromkeys(plan["command"] for plan in plans if plan.get("command")))


def _meta(report: Report) -> Iterator[tuple[str, str]]:
    facts = report.about.get("provenance") or {}
    for name in ("project", "CPU", "cores", "finished"):
        if values := [value for value in facts.get(name) or [] if value]:
            more = f" and {len(values) - 1} more" if len(values) > 1 else ""
            text = str(values[0])
            if name == "finished":
                text = text.replace("T", " ").replace("+00:00", " UTC")
            yield name, text + more


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"prose": prose, "figures": figures, "fact": fact}
    environment.filters["variable"] = VARIABLES.get
    environment.filters["tone"] = lambda text: TONES.get(text.rsplit(" ", 1)[-1], "")
    environment.tests["fact"] = lambda sentence: fact(sentence) is not None
    return environment.get_template("report.html.j2")
