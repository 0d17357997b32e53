"""Where the command line writes: colours and the window's width in a terminal, neither in a pipe."""

from __future__ import annotations

from rich.console import Console

from bench.report.table import Table
from bench.report.terminal import render

WIDE = 10_000
"""Columns of a pipe: lines are never folded or cut there."""


def console() -> Console:
    """Standard output."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=WIDE, color_system=None)


def show(*tables: Table) -> None:
    """Print tables."""
    out = console()
    for table in tables:
        for part in render(table, plain=not out.is_terminal):
            out.print(part)
