"""What ``bench report`` is asked for, and the report that answers it.

What computes a report is imported when one is made: a report that is up to date needs none of it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.records.store import RUN, Store, StoreError
from bench.report import select
from bench.report.select import Selection
from reaugkd.errors import UserError

if TYPE_CHECKING:
    from bench.report.document import Report


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
    selection: Selection = field(default_factory=Selection)

    @property
    def folders(self) -> tuple[Path, ...]:
        """All that are read, the report's own first."""
        return (self.folder, *self.beside)

    @property
    def options(self) -> dict[str, Any]:
        """Plain JSON: all that decides the report apart from the folders."""
        return {"baseline": self.baseline, **asdict(self.selection)}

    def make(self) -> tuple[Report, Report]:
        """Read the folders and build the report: what is shown of it, and the whole.

        Raises:
            StoreError: if a folder is not what it should be, or damaged.
            UserError: if a baseline, a section, a column or a value is not there.
        """
        from bench.records.measurements import Measurements
        from bench.records.results import load
        from bench.report import build
        from bench.report.inputs import HISTORY, MeasuredInputs, RunInputs

        def is_measured(folder: Path) -> bool:
            return Measurements.at(folder) or (folder / HISTORY).is_file()

        for folder in self.beside:
            if not is_measured(folder):
                expected = folder / "measurements"
                raise StoreError(f"--with {folder}: no measurements there: expected {expected}")
        folders = [folder for folder in self.folders if is_measured(folder)]
        measured = [MeasuredInputs(Measurements(folder)) for folder in folders]
        if (self.folder / RUN).is_file() or self.folder not in folders:
            results = load(Store(self.folder))
            report = build.of_run(RunInputs(results, self.baseline, measured))
        elif self.baseline is not None:
            raise UserError(
                f"--baseline {self.baseline}: {self.folder} holds measurements, no methods"
            )
        else:
            report = build.of_measurements(measured.pop(0))
            folders.pop(0)
        others = [build.of_measurements(inputs) for inputs in measured]
        names = [folder.resolve().name for folder in folders]
        whole = build.join(report, list(zip(names, others, strict=True)))
        part = select.apply(whole, self.selection) if self.selection != Selection() else whole
        return part, whole
