"""What ``bench report`` is asked for, and the report that answers it.

What computes a report is imported when one is made: a report that is up to date needs none of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.records.store import RUN, Store, StoreError
from bench.report import select
from bench.report.select import EVERYTHING, Selection
from reaugkd.errors import UserError

if TYPE_CHECKING:
    from bench.report.build import Report
    from bench.report.inputs import MeasuredInputs


@dataclass(frozen=True)
class Request:
    """One report.

    Attributes:
        folder: of a run or of measurements; one that holds both gives one report of both.
        beside: folders of measurements whose sections join those of ``folder``.
        baseline: the method that differences refer to; None for the usual one.
        selection: what of it is shown.
    """

    folder: Path
    beside: tuple[Path, ...] = ()
    baseline: str | None = None
    selection: Selection = EVERYTHING

    @property
    def folders(self) -> tuple[Path, ...]:
        """All that are read, the report's own first."""
        return (self.folder, *self.beside)

    @property
    def options(self) -> dict[str, Any]:
        """Plain JSON: all that decides the report apart from the folders."""
        return {
            "baseline": self.baseline,
            "sections": list(self.selection.sections),
            "filters": [[one.column, one.text] for one in self.selection.filters],
            "group_by": self.selection.group_by,
        }

    def make(self) -> tuple[Report, Report]:
        """Read the folders and build the report: what is shown of it, and the whole.

        Raises:
            StoreError: if a folder is not what it should be, or damaged.
            UserError: if a baseline, a section, a column or a value is not there.
        """
        from bench.records.results import load
        from bench.report import build
        from bench.report.inputs import RunInputs

        measured = [(folder.resolve().name, _measured(folder)) for folder in self.beside]
        is_run = (self.folder / RUN).is_file() or not is_measured(self.folder)
        if is_run and is_measured(self.folder):
            measured.insert(0, (self.folder.resolve().name, _measured(self.folder)))
        if is_run:
            results, beside = load(Store(self.folder)), [inputs for _, inputs in measured]
            report = build.of_run(RunInputs(results, self.baseline, beside))
        elif self.baseline is not None:
            raise UserError(
                f"--baseline {self.baseline}: {self.folder} holds measurements, no methods"
            )
        else:
            report = build.of_measurements(_measured(self.folder))
        others = [(name, build.of_measurements(inputs)) for name, inputs in measured]
        whole = build.join(report, others)
        return (select.apply(whole, self.selection) if self.selection else whole), whole


def is_measured(folder: Path) -> bool:
    """Whether there are measurements or a history of the gate in ``folder``."""
    from bench.records.measurements import Measurements
    from bench.report.inputs import HISTORY

    return Measurements.at(folder) or (folder / HISTORY).is_file()


def _measured(folder: Path) -> MeasuredInputs:
    from bench.records.measurements import Measurements
    from bench.report.inputs import MeasuredInputs

    if not is_measured(folder):
        expected = folder / "measurements"
        raise StoreError(f"--with {folder}: no measurements there: expected {expected}")
    return MeasuredInputs(Measurements(folder))
