"""Shows a folder of measurements and writes its files: a terminal gets tables, a pipe Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from bench.cli.console import console, show
from bench.records.measurements import Kind, Measurements
from bench.report import markdown, measured


def show_and_write(
    measurements: Measurements,
    kinds: Sequence[Kind] = ("latency",),
    *,
    name: str = "latency",
    folder: Path | None = None,
) -> None:
    """Print the tables of ``kinds`` and write ``<name>.md`` with the CSV files.

    Args:
        measurements: the folder that is shown.
        kinds: records to show.
        name: of the Markdown file.
        folder: where files go, by default beside the measurements.

    Raises:
        StoreError: if the files cannot be written.
    """
    report = measured.build(measurements, kinds)
    paths = measured.write(report, measurements, folder or measurements.folder, name)
    out = console()
    if out.is_terminal:
        out.print(report.title, style="bold")
        out.print(*report.lead, "", sep="\n")
        show(*report.tables)
    else:
        click.echo(markdown.render(report), nl=False)
    click.echo(f"wrote {paths[0].parent}: {', '.join(path.name for path in paths)}", err=True)
