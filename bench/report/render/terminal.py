"""Tables as rich renderables. Cells are never read as markup: ``reaugkd[annoy]`` stays whole."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from bench.report.table import Table


def render(table: Table, *, plain: bool = False) -> Iterator[RenderableType]:
    """The title, the table and its notes; ``plain`` for pipes: columns aligned by blanks."""
    yield Text(table.title, style="bold")
    if table.rows:
        style = None if plain else box.SIMPLE_HEAD
        grid = RichTable(box=style, pad_edge=False, padding=(0, 2 if plain else 1))
        for number, column in enumerate(table.columns):
            grid.add_column(Text(column), justify="left" if number < table.labels else "right")
        for row in table.rows:
            grid.add_row(*map(Text, row))
        yield grid
    yield from (Text(note, style="dim") for note in table.notes)
    yield Text()
