"""The report as one page: a file that opens anywhere, asks no network for anything, and prints."""

from __future__ import annotations

import base64
import gzip
import json
import re
from functools import cache
from math import ceil
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from bench.report.document import Report
from bench.report.outline import outline
from bench.report.table import EMPTY

REFRESH = 15
"""Seconds after which the page of a run that is still going on is asked for again."""

PATIENCE = 10
"""Times the seconds of a making that a page waits at least: else a large run does nothing else."""

TONES = {
    "good": {"holds", "better", "verified"},
    "bad": {"fails", "worse", "failed", "unreadable"},
    "unsure": {"undecided", "skipped", "missing", "recalled"},
}
MARKS = {"✓": "good", "✗": "bad", "?": "unsure"}

_SPREAD = re.compile(r"(?P<value>.*?\d%?)(?P<rest> ±.*| \[.*\]| \(\d+\))")
_CODE = re.compile(r"`([^`]+)`")
_FACT = re.compile(r"(?P<name>[A-Z][A-Za-z ]{2,30}): (?P<value>.+)", re.DOTALL)


def render(report: Report, *, command: str, live: bool = False, seconds: float = 0) -> str:
    """The report as HTML that needs no other file.

    Args:
        report: what is shown. Settings, the run's command and the commands of rows come from its
            data and the records of its sections; what is not there is left out.
        command: the command line that makes this page, e.g. ``bench report results/runs/mini``.
        live: whether the run is still going on: the page asks for itself again every
            :data:`REFRESH` seconds, until it is told to stop.
        seconds: that making the report took; the page then waits at least :data:`PATIENCE` times
            as long.
    """
    found = outline(report, command)
    specs, script = [], ""
    if found.figures:  # the script, and its import, only where something is drawn
        from bench.report import interactive

        script = packed(interactive.script())
        specs = [(one.anchor, as_json(interactive.spec(one.figure))) for one in found.figures]
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            page=found,
            specs=specs,
            plotly=script,
            style=Markup(_source("style.css")),
            early=Markup(_source("theme.js")),
            script=Markup(_source("page.js")),
            refresh=max(REFRESH, ceil(PATIENCE * seconds)) if live else None,
            empty=EMPTY,
        )
    )


def as_json(value: Any) -> Markup:
    r"""Strict JSON that can stand in a ``script`` element: no ``<`` ends it early.

    >>> as_json({"name": "</script>"})
    Markup('{"name":"\\u003c/script>"}')

    Raises:
        ValueError: for NaN and infinities.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def packed(script: str) -> str:
    """``script`` through gzip and base64: 5 MB become 2, so that large tables have room beside it.

    The page unpacks it where it is needed.
    """
    return base64.b64encode(gzip.compress(script.encode(), mtime=0)).decode()


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


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("bench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"prose": prose, "figures": figures, "tone": tone, "fact": fact}
    made.tests["fact"] = lambda sentence: fact(sentence) is not None
    return made


def _source(name: str) -> str:
    """A file of the templates as it is: braces of a style or a script are its own."""
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]
