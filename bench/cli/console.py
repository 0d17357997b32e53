"""Where the command line writes: a terminal gets colours and folded lines, a pipe neither."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from bench.report.render.terminal import render
from bench.report.table import Table

if TYPE_CHECKING:
    from bench.report.document import Report

WIDE = 10_000
"""Columns of a pipe: nothing is folded or cut there."""


def console() -> Console:
    """Standard output."""
    out = Console(highlight=False, markup=False, emoji=False)
    if out.is_terminal:
        return out
    return Console(width=WIDE, color_system=None, markup=False, emoji=False)


def show(*tables: Table, to: Console | None = None) -> None:
    """Print tables."""
    out = to or console()
    for table in tables:
        out.print(*render(table, plain=not out.is_terminal))


def printed(report: Report, *, as_markdown: bool | None = None) -> str:
    """A report for :func:`echo`: tables for a terminal, Markdown for a pipe unless asked for."""
    out = console()
    if not out.is_terminal if as_markdown is None else as_markdown:
        from bench.report.render import markdown

        return markdown.render(report)
    with out.capture() as capture:
        out.print(report.title, style="bold")
        if report.headline:
            out.print("", *(f"- {line}" for line in report.headline), sep="\n")
        out.print("", *report.lead, "", sep="\n")
        show(*report.tables, to=out)
    return capture.get()


def echo(text: str) -> None:
    """Print what :func:`printed` made, with its colours."""
    click.echo(text, nl=False, color=True)


def written(verb: str, folder: Path, paths: Iterable[Path]) -> None:
    """One line: files by name, those of a folder below it by their number."""
    paths = list(paths)
    below = Counter(path.parent.name for path in paths if path.parent != folder)
    names = [path.name for path in paths if path.parent == folder]
    names += [f"{name}/ ({count} file{'s' * (count > 1)})" for name, count in below.items()]
    listed = ", ".join(names) or "nothing: there is nothing to write"
    click.echo(f"{verb} {folder}: {listed}", err=True)
