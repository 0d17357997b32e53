"""Tables as rich renderables. Cells are never read as markup: ``reaugkd[annoy]`` stays whole."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from bench.report.table import Table


def render(table: Table, *, plain: bool = False) -> Iterator[RenderableType]:
    """The title, the table and its notes.

    Args:
        table: what to show.
        plain: columns aligned by blanks and nothing else, for pipes.
    """
    yield Text(table.title, style="bold")
    if table.rows:
        yield _grid(table, plain)
    for note in table.notes:
        yield Text(note, style="dim")
    yield Text()


def _grid(table: Table, plain: bool) -> RichTable:
    grid = RichTable(
        box=None if plain else box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2 if plain else 1)
    )
    for number, column in enumerate(table.columns):
        grid.add_column(Text(column), justify="left" if number < table.labels else "right")
    for row in table.rows:
        grid.add_row(*map(Text, row))
    return grid
