"""The plan of a run, as the command line shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from rich.table import Table

from bench.cell import Cell
from bench.config import RetrievalConfig
from bench.records.base import percent

KINDS = ("training", "retrieval", "control")
USUAL = ("training", "retrieval")
"""Kinds that the plan counts even where there is none of them."""


def table(title: str, planned: Sequence[Cell], todo: Collection[str]) -> Table:
    """How many cells there are of each method, and how many of them are in ``todo`` by key."""
    rows: dict[tuple[str, str], list[Cell]] = {}
    for cell in planned:
        what = {"training": "", "retrieval": f" + {cell.backend}", "control": ": controls"}
        rows.setdefault((cell.task, cell.method + what[cell.kind]), []).append(cell)
    table = Table(title=title, title_justify="left")
    for column in ("task", "method", "cells", "seeds", "left to do"):
        table.add_column(column, justify="left" if column in ("task", "method") else "right")
    for (task, method), cells in rows.items():
        counts = len(cells), len({cell.seed for cell in cells}), sum(c.key in todo for c in cells)
        table.add_row(task, method, *map(str, counts))
    return table


def remarks(planned: Sequence[Cell], wanted: RetrievalConfig, cached: int) -> Iterator[str]:
    """What the table does not tell: axes of retrieval, more teachers, the cache, skips."""
    searches = [cell for cell in planned if cell.kind == "retrieval"]
    if len({(cell.keys, cell.values, cell.share, cell.control) for cell in searches}) > 1:
        yield f"knowledge bases, {wanted.design.replace('-', ' ')}:"
        shares = map(percent, wanted.share)
        yield f"  ann: {', '.join(wanted.ann)}"
        yield f"  keys: {', '.join(wanted.keys)}"
        yield f"  values: {', '.join(wanted.values)}"
        yield f"  share: {', '.join(shares)}"
        yield f"  control: {', '.join(wanted.control)}"
    if any(cell.values == "cross-fitted" for cell in searches):
        yield f"cross-fitted values train {wanted.folds} more teachers per task"
    if cached:
        yield f"students in the cache: {cached}"
    for why, count in Counter(cell.skip for cell in planned if cell.skip).items():
        yield f"{count} cells will be skipped: {why}"


def summary(planned: Sequence[Cell], left: int) -> str:
    """How many cells there are of each kind, and how many of them are left."""
    kinds = Counter(cell.kind for cell in planned)
    counts = ((kind, kinds[kind]) for kind in KINDS)  # type: ignore[index]
    shown = ", ".join(f"{count} {kind}" for kind, count in counts if count or kind in USUAL)
    return f"{len(planned)} cells ({shown}), {len(planned) - left} there already, {left} left"
