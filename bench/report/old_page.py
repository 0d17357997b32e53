"""The page and the pictures of a report as they were. To be deleted with them."""

from __future__ import annotations

from pathlib import Path

from bench.records.measurements import Measurements
from bench.records.store import RUN, Store
from bench.report import document, measured, selection
from bench.report.document import Report
from bench.report.figures.added import with_added_time
from bench.report.joined import join
from bench.report.request import Request, is_measured
from bench.report.results import load


def of(request: Request) -> Report:
    """What is shown of the report, as strings."""
    beside = [(one.resolve().name, measured.build(Measurements(one))) for one in request.beside]
    whole = with_added_time(join(_own(request.folder, request.baseline), beside))
    return selection.apply(whole, request.selection) if request.selection else whole  # type: ignore[arg-type]


def _own(folder: Path, baseline: str | None) -> Report:
    if (folder / RUN).is_file() or not is_measured(folder):
        made = document.build(load(Store(folder)), baseline=baseline)
        if not is_measured(folder):
            return made
        return join(made, [(folder.resolve().name, measured.build(Measurements(folder)))])
    return measured.build(Measurements(folder))
