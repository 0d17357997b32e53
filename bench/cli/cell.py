"""``python -m bench.cell``: one cell, for schedulers that ship cells to other machines."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli.options import UserPath
from bench.cli.streams import make_safe
from reaugkd.errors import UserError


@click.command()
@click.argument("cell_file", type=UserPath(exists=True, dir_okay=False))
@click.option("--store", required=True, type=UserPath(), help="The run's folder.")
@click.option("--cache", required=True, type=UserPath(), help="Cache folder.")
def cell(cell_file: Path, store: Path, cache: Path) -> None:
    """Run the cell in CELL_FILE and write its record into the store.

    Example: bench run --dry-run --cells cells/ writes such files; then, on any machine,
    python -m bench.cell cells/KEY.json --store results/runs/NAME --cache CACHE
    """
    from bench.cell import Cell

    try:
        planned = Cell.model_validate_json(cell_file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{cell_file} holds no cell: {error}") from error

    from reaugkd.models import threads

    threads.share()
    from bench.executors.quiet import limit_threads, quieten
    from bench.pipeline.workbench import Workbench
    from bench.records.store import Store
    from reaugkd.artifacts.store import ArtifactStore
    from reaugkd.reporter import Silent

    limit_threads(planned.config.threads)
    quieten()
    run = Store(store)
    command = f"python -m bench.cell {cell_file.name}"
    try:
        run.create()
        workbench = Workbench(ArtifactStore(cache, Silent()), Silent(), command)
        record, arrays = workbench.run(planned)
        run.write(record, arrays)
    except UserError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{record.status}: {record.key} {record.reason or ''}".rstrip())
    raise SystemExit(0 if record.status == "ok" else 1)


if __name__ == "__main__":
    make_safe()
    cell(prog_name="python -m bench.cell")
