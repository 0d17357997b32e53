"""``python -m bench.cell``: one cell, for schedulers that ship cells to other machines."""

from __future__ import annotations

from pathlib import Path

import click

from reaugkd.errors import UserError


@click.command()
@click.argument("cell_file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--store", required=True, type=click.Path(path_type=Path), help="The run's folder.")
@click.option("--cache", required=True, type=click.Path(path_type=Path), help="Cache folder.")
def cell(cell_file: Path, store: Path, cache: Path) -> None:
    """Run the cell in CELL_FILE and write its record into the store.

    Example: bench run --dry-run --cells cells/ writes such files; then, on any machine,
    python -m bench.cell cells/KEY.json --store results/runs/NAME --cache CACHE
    """
    from bench.cell import main

    try:
        record = main(cell_file, store, cache)
    except UserError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{record.status}: {record.key} {record.reason or ''}".rstrip())
    raise SystemExit(0 if record.status == "ok" else 1)
