"""``python -m bench.cell``: one cell, for schedulers that ship cells to other machines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reaugkd.errors import UserError

if TYPE_CHECKING:
    from bench.records.run import Record


@click.command()
@click.argument("cell_file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--store", required=True, type=click.Path(path_type=Path), help="The run's folder.")
@click.option("--cache", required=True, type=click.Path(path_type=Path), help="Cache folder.")
def cell(cell_file: Path, store: Path, cache: Path) -> None:
    """Run the cell in CELL_FILE and write its record into the store.

    Example: bench run --dry-run --cells cells/ writes such files; then, on any machine,
    python -m bench.cell cells/KEY.json --store results/runs/NAME --cache CACHE
    """
    try:
        record = run_file(cell_file, store, cache)
    except UserError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{record.status}: {record.key} {record.reason or ''}".rstrip())
    raise SystemExit(0 if record.status == "ok" else 1)


def run_file(cell_file: Path, folder: Path, cache: Path) -> Record:
    """Run the cell in ``cell_file`` and write its record into the run in ``folder``.

    Raises:
        StoreError: if the file does not hold a cell.
    """
    from bench.cell import Cell
    from bench.records.store import Store, StoreError

    try:
        cell = Cell.model_validate_json(cell_file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"{cell_file} holds no cell: {error}") from error

    from reaugkd.models import threads

    threads.share()
    import torch

    from bench.executors.quiet import quieten
    from bench.pipeline.workbench import Workbench
    from reaugkd.artifacts.store import ArtifactStore
    from reaugkd.reporter import Silent

    if cell.config.threads is not None:
        torch.set_num_threads(cell.config.threads)
    quieten()
    store = Store(folder)
    store.create()
    command = f"python -m bench.cell {cell_file.name}"
    workbench = Workbench(ArtifactStore(cache, Silent()), Silent(), command)
    record, arrays = workbench.run(cell)
    store.write(record, arrays)
    return record


if __name__ == "__main__":
    cell(prog_name="python -m bench.cell")
