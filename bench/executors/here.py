"""Running cells in this process."""

from __future__ import annotations

from collections.abc import Sequence

from bench.cell import Cell
from bench.executors.groups import Begun, Done, groups, run_group
from bench.pipeline.workbench import Workbench
from bench.records.store import Store


def run_here(
    cells: Sequence[Cell], workbench: Workbench, store: Store, done: Done, begun: Begun
) -> None:
    """Run the cells one after another.

    ``begun`` is told the key of every cell, ``done`` of its record as soon as it is written.

    Raises:
        StoreError: if a record cannot be written.
    """
    for group in groups(cells):
        for cell, record in run_group(group, workbench, store, begun):
            done(cell, record)
