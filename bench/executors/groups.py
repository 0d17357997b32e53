"""What is left of a run, in groups of cells that share a student."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from bench.cell import Cell
from bench.records.run import Record
from bench.records.store import Store

if TYPE_CHECKING:
    from bench.pipeline.workbench import Workbench

Overwrite = Literal["never", "missing", "always"]
Done = Callable[[Cell, Record], None]
Begun = Callable[[str], None]


def left(planned: Iterable[Cell], store: Store, overwrite: Overwrite) -> list[Cell]:
    """The cells to run.

    ``missing`` (the default) runs what has no usable record or did not end well, ``never`` only
    what has no record at all, ``always`` everything. Students and indexes come from the cache
    in every case: to train them again, give another ``--cache``.
    """

    def wanted(cell: Cell) -> bool:
        record = store.read(cell.key)
        if overwrite == "always" or record is None:
            return True
        return overwrite == "missing" and not (isinstance(record, Record) and record.status == "ok")

    return [cell for cell in planned if wanted(cell)]


def groups(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells that share a student, together: what one worker does in one go."""
    return [list(group) for _, group in groupby(cells, key=lambda cell: cell.student)]


def by_turns(groups: Iterable[list[Cell]]) -> list[list[Cell]]:
    """The groups with the tasks taking turns.

    So workers fine-tune different teachers; those of one task would wait for the one they share.
    """
    turns = Counter[str]()
    placed = []
    for group in groups:
        placed.append((turns[group[0].task], group))
        turns[group[0].task] += 1
    return [group for _, group in sorted(placed, key=lambda turn: turn[0])]


def run_group(
    group: Iterable[Cell], workbench: Workbench, store: Store, begun: Begun
) -> Iterator[tuple[Cell, Record]]:
    """Run the cells in order; those whose student failed are skipped with the reason.

    Raises:
        StoreError: if a record cannot be written; nothing that was finished is lost.
    """
    failed: dict[str, str] = {}
    for cell in group:
        begun(cell.key)
        if reason := failed.get(cell.student):
            cell = cell.model_copy(update={"skip": cell.skip or reason})
        record, arrays = workbench.run(cell)
        store.write(record, arrays)
        if record.status == "failed":
            failed[cell.key] = f"its student failed: {record.reason}"
        yield cell, record
