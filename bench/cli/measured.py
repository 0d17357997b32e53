"""Shows a folder of measurements and writes its files: a terminal gets tables, a pipe Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePath

from bench.cli.console import show_report, written
from bench.records.measurements import Kind, Measurements
from bench.report import build, files
from bench.report.build import Report
from bench.report.inputs import MeasuredInputs
from bench.report.render import data, markdown


def show_and_write(measurements: Measurements, kind: Kind) -> None:
    """Print the tables of ``kind`` and write ``<kind>.md`` and ``<kind>.csv`` beside the cells.

    Raises:
        StoreError: if the files cannot be written.
    """
    report = build.of_measurements(MeasuredInputs(measurements, (kind,)))
    folder: Path = measurements.folder
    paths = files.write(folder, _contents(report, kind))
    show_report(report)
    written("wrote", folder, paths)


def _contents(report: Report, kind: Kind) -> Iterator[files.Content]:
    yield PurePath(f"{kind}.md"), markdown.render(report)
    for name, frame in data.tidy(report):
        yield PurePath(name), data.as_csv(frame)
