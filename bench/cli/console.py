"""Where the command line writes: a terminal gets colours and folded lines, a pipe neither."""

from __future__ import annotations

from rich.console import Console

from bench.report.render.terminal import render
from bench.report.table import Table

WIDE = 10_000
"""Columns of a pipe: nothing is folded or cut there."""


def console() -> Console:
    """Standard output."""
    found = Console(highlight=False, markup=False, emoji=False)
    if found.is_terminal:
        return found
    return Console(width=WIDE, color_system=None, markup=False, emoji=False)


def show(*tables: Table) -> None:
    """Print tables."""
    out = console()
    for table in tables:
        for part in render(table, plain=not out.is_terminal):
            out.print(part)
