"""``bench report``: the tables of a run, in the terminal and as files."""

from __future__ import annotations

from pathlib import Path

import click

from bench.cli.console import console, show
from bench.report import markdown
from bench.report.document import build
from bench.report.files import RUNS, find, write
from bench.report.results import load
from bench.store import Store


@click.command()
@click.argument("run", required=False)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the files; the run's own.")
def report(run: str | None, out: Path | None) -> None:
    """Show the tables of RUN and write report.md, results.csv and results.json beside its cells.

    RUN is a folder or the name of one in results/runs; by default the newest. It may still be
    going on. In a pipe, the tables are Markdown. A folder of bench latency or bench memory gets
    report.md, latency.csv and memory.csv; a history.jsonl of bench gate there is shown too.

    \b
    Examples:
      bench report
      bench report results/runs/mini --out results/mini
      bench report results/runs/latency-1a2b3c4d
      bench report > report.md
    """  # noqa: D301  (click's paragraph mark)
    folder = find(run, RUNS)
    if (folder / "measurements").is_dir():
        from bench.cli.measured import show_and_write
        from bench.measure.results import Measurements

        show_and_write(Measurements(folder), ("latency", "memory"), name="report", folder=out)
        return
    store = Store(folder)
    made = build(load(store))
    paths = write(made, out or store.folder)
    out_to = console()
    if out_to.is_terminal:
        out_to.print(made.title, style="bold")
        out_to.print(*made.lead, "", sep="\n")
        show(*made.tables)
    else:
        click.echo(markdown.render(made), nl=False)
    click.echo(f"wrote {paths[0].parent}: {', '.join(path.name for path in paths)}", err=True)
