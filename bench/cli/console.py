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
    from bench.report.table import Shown

WIDE = 10_000
"""Columns of a pipe: nothing is folded or cut there."""


def console() -> Console:
    """Standard output."""
    out = Console(highlight=False, markup=False, emoji=False)
    if out.is_terminal:
        return out
    return Console(width=WIDE, color_system=None, markup=False, emoji=False)


def show(*tables: Table) -> None:
    """Print tables."""
    out = console()
    for table in tables:
        for part in render(table, plain=not out.is_terminal):
            out.print(part)


def show_report(report: Shown, *, as_markdown: bool | None = None) -> None:
    """Print a report: tables in a terminal, Markdown in a pipe unless asked for otherwise."""
    out = console()
    if not out.is_terminal if as_markdown is None else as_markdown:
        from bench.report.render import markdown

        click.echo(markdown.render(report), nl=False)
        return
    out.print(report.title, style="bold")
    if report.headline:
        out.print("", *(f"- {line}" for line in report.headline), sep="\n")
    out.print("", *report.lead, "", sep="\n")
    show(*report.tables)


def written(verb: str, folder: Path, paths: Iterable[Path]) -> None:
    """One line: files by name, those of a folder below it by their number."""
    paths = list(paths)
    below = Counter(path.parent.name for path in paths if path.parent != folder)
    names = [path.name for path in paths if path.parent == folder]
    names += [f"{name}/ ({count} file{'s' * (count > 1)})" for name, count in below.items()]
    said = ", ".join(names) or "nothing: there is nothing to write"
    click.echo(f"{verb} {folder}: {said}", err=True)
