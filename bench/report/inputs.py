"""What sections compute from: a run or measurements, each piece read and computed once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from bench.measure import history
from bench.records.measurement import LatencyRecord, MemoryRecord
from bench.records.measurements import Kind, Measurements, PlanFile
from bench.records.results import Results
from bench.records.store import Problem
from bench.report import origin
from bench.report.examples import Examples
from bench.report.sweeps import Sweep, sweeps
from reaugkd.errors import UnknownNameError

if TYPE_CHECKING:
    from pandas import DataFrame

    from bench.report.section import Section

PREFERRED = ("kd", "finetune")
"""What others are compared with unless a baseline is named, best first."""

HISTORY = "history.jsonl"
"""Where ``bench gate --history`` may put its history for ``bench report`` to find."""


class ReportInputs:
    """Frames of sections, each computed once: sections stand on each other's."""

    def __init__(self) -> None:
        self._frames: dict[str, DataFrame] = {}

    def frame(self, section: Section[Self]) -> DataFrame:
        """The whole frame of a section."""
        if section.name not in self._frames:
            self._frames[section.name] = section.rows(self)
        return self._frames[section.name]


class RunInputs(ReportInputs):
    """A run, finished or not, and the measurements ``beside`` it in the same report.

    Args:
        baseline: the method that others are compared with; None for the usual one: kd, else
            finetune, else the first, of the methods with a finished student.

    Raises:
        UnknownNameError: ``baseline`` is no method of the run.
    """

    def __init__(
        self, results: Results, baseline: str | None = None, beside: Sequence[MeasuredInputs] = ()
    ) -> None:
        super().__init__()
        self.results, self.beside = results, tuple(beside)
        self.baseline = _baseline(results, baseline)

    @cached_property
    def examples(self) -> Examples:
        """Answers and labels, example by example; each file is read at first use."""
        return Examples(self.results)

    @cached_property
    def _swept(self) -> tuple[list[Sweep], list[Problem]]:
        return sweeps(self.results)

    @property
    def sweeps(self) -> list[Sweep]:
        """Scores at every k, beta and tau of every student with a knowledge base."""
        return self._swept[0]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Files that could not be used so far, each with its first reason."""
        return by_file(*self.results.problems, *self.examples.problems, *self._swept[1])

    @cached_property
    def facts(self) -> origin.Facts:
        """Where the records come from."""
        return origin.facts(self.results.records)

    @property
    def mini(self) -> bool:
        """Whether there are tasks of the embedded suite, which are not GLUE."""
        return any(record.suite == "mini" for record in self.results.records)

    @cached_property
    def titles(self) -> dict[str, str]:
        """Task -> its title."""
        return {record.task: record.title for record in self.results.records}


class MeasuredInputs(ReportInputs):
    """A folder of measurements, finished or not.

    Attributes:
        folder: where they are.
        kinds: which of them are shown.
        records, latency, memory: cells of these kinds, and of one.
        past: the history of the gate, none if there is none.
        problems: files that could not be used.
    """

    def __init__(
        self, measurements: Measurements, kinds: Sequence[Kind] = ("latency", "memory")
    ) -> None:
        super().__init__()
        self.measurements, self.folder, self.kinds = measurements, measurements.folder, tuple(kinds)
        cells, self.problems = measurements.records()
        self.records = [record for record in cells if record.kind in self.kinds]
        self.latency = [record for record in self.records if isinstance(record, LatencyRecord)]
        self.memory = [record for record in self.records if isinstance(record, MemoryRecord)]
        self.past: Sequence[history.HistoryEntry] = ()
        if (path := self.folder / HISTORY).is_file():
            try:
                past = history.read(path)
            except history.HistoryError as error:
                self.problems.append(Problem(path, str(error)))
            else:
                self.past = past.entries
                self.problems += past.problems

    @property
    def plans(self) -> list[PlanFile]:
        """What was last asked for, of each kind that can be read."""
        plans: list[Any] = [self.measurements.read_plan(kind) for kind in self.kinds]
        return [plan for plan in plans if isinstance(plan, PlanFile)]

    @cached_property
    def facts(self) -> origin.Facts:
        """Provenance; threads are an axis here, so that several are no mixture of machines."""
        facts = origin.facts(self.records)  # type: ignore[arg-type]  # reads provenance alone
        facts["threads"] = [", ".join(facts["threads"])] if self.records else []
        return facts


def by_file(*problems: Problem) -> tuple[Problem, ...]:
    """The first problem of every file."""
    return tuple({problem.path: problem for problem in reversed(problems)}.values())[::-1]


def _baseline(results: Results, name: str | None) -> str | None:
    planned = list(dict.fromkeys(cell.plan.method for cell in results.cells))
    if name is not None:
        if name not in planned:
            raise UnknownNameError("baseline", name, planned)
        return name
    finished = {record.method for record, _ in results.trained}
    methods = [method for method in planned if method in finished] or planned
    return next((name for name in PREFERRED if name in methods), next(iter(methods), None))
