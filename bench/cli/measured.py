"""Shows a folder of measurements and writes its files: a terminal gets tables, a pipe Markdown."""

from __future__ import annotations

from pathlib import PurePath

from bench.cli.console import echo, printed, written
from bench.records.measurements import Kind, Measurements
from bench.report import build, files
from bench.report.inputs import MeasuredInputs
from bench.report.render import data, markdown


def show_and_write(measurements: Measurements, kind: Kind) -> None:
    """Print the tables of ``kind`` and write ``<kind>.md`` and ``<kind>.csv`` beside the cells.

    Raises:
        StoreError: if the files cannot be written.
    """
    report = build.of_measurements(MeasuredInputs(measurements, (kind,)))
    contents: list[files.Content] = [(PurePath(f"{kind}.md"), markdown.render(report))]
    contents += [(PurePath(name), data.as_csv(frame)) for name, frame in data.tidy(report)]
    paths = files.write(measurements.folder, contents)
    echo(printed(report))
    written("wrote", measurements.folder, paths)
