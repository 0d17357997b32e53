"""What ``bench report`` is asked for, and the report that answers it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.records.measurements import Measurements
from bench.records.store import RUN, Store, StoreError
from bench.report import build, document, legacy, measured, select, selection
from bench.report.document import Report
from bench.report.inputs import MeasuredInputs, RunInputs
from bench.report.joined import join
from bench.report.results import load
from bench.report.select import EVERYTHING, Selection
from reaugkd.errors import UserError


@dataclass(frozen=True)
class Request:
    """One report.

    Attributes:
        folder: of a run or of measurements.
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

    def make_page(self) -> tuple[Report, Report]:
        """Read the folders and build the report: what is shown of it, and the whole.

        Raises:
            StoreError: if a folder is not what it should be, or damaged.
            UserError: if a baseline, a section, a column or a value is not there.
        """
        beside = [(one.resolve().name, _measured(one)) for one in self.beside]
        whole = join(self._own(), beside)
        shown = selection.apply(whole, self.selection) if self.selection else whole  # type: ignore[arg-type]
        return shown, whole

    def make(self) -> tuple[build.Report, build.Report]:
        """Read the folders and build the report on frames: what is shown of it, and the whole.

        Raises:
            StoreError: if a folder is not what it should be, or damaged.
            UserError: if a baseline, a section, a column or a value is not there.
        """
        others = [(one.resolve().name, _measurements(one)) for one in self.beside]
        is_run, measured_too = (self.folder / RUN).is_file(), is_measured(self.folder)
        if is_run and measured_too:
            others.insert(0, (self.folder.resolve().name, _measurements(self.folder)))
        beside = [(name, legacy.of_measurements(inputs)) for name, inputs in others]
        if is_run or not measured_too:
            results = load(Store(self.folder))
            measurements = [inputs for _, inputs in others]
            own = legacy.run(RunInputs(results, self.baseline, measurements))
        elif self.baseline is not None:
            raise UserError(
                f"--baseline {self.baseline}: {self.folder} holds measurements, no methods"
            )
        else:
            own = legacy.of_measurements(_measurements(self.folder))
        whole = build.join(own, beside)
        return (select.apply(whole, self.selection) if self.selection else whole), whole

    def _own(self) -> Report:
        """The report of the folder; of one that holds a run and measurements, both."""
        run, measurements = (self.folder / RUN).is_file(), is_measured(self.folder)
        if run or not measurements:
            made = document.build(load(Store(self.folder)), baseline=self.baseline)
            own = [(self.folder.resolve().name, _measured(self.folder))] if measurements else []
            return join(made, own)
        if self.baseline is not None:
            raise UserError(
                f"--baseline {self.baseline}: {self.folder} holds measurements, no methods"
            )
        return _measured(self.folder)


def is_measured(folder: Path) -> bool:
    """Whether there are measurements or a history of the gate in ``folder``."""
    return Measurements.at(folder) or (folder / measured.HISTORY).is_file()


def unfinished(report: build.Report) -> bool:
    """Whether the run, or what is measured beside it, has cells that are still to come."""
    keys: set[str] = set()
    for part in report.parts:
        if part.section.name == "cells" and "missing" in set(part.frame.get("status", ())):
            return True
        if "key" in part.frame:
            keys |= set(part.frame["key"])
    plans = [one.about.get("plans") or [] for one in (report, *(r for _, r in report.measured))]
    return any(key not in keys for some in plans for plan in some for key in plan["cells"])


def _measured(folder: Path) -> Report:
    return measured.build(_measurements(folder).measurements)


def _measurements(folder: Path) -> MeasuredInputs:
    if not is_measured(folder):
        expected = folder / "measurements"
        raise StoreError(f"--with {folder}: no measurements there: expected {expected}")
    return MeasuredInputs(Measurements(folder))
