"""Several runs beside each other, each with its columns: what their sections compute from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from bench.records.merged import names
from bench.records.results import CELL_AXES, Results
from bench.records.run import Record
from bench.records.store import Problem
from bench.report.examples import BySeed
from bench.report.inputs import ReportInputs, RunInputs, by_file
from bench.report.scores import OFF
from reaugkd.errors import UserError

At = tuple[str, str, tuple[object, ...]]
"""(task, method, knowledge base): a column whatever its run calls the index."""


class CompareError(UserError):
    """The runs cannot be compared."""


class ComparedRun(RunInputs):
    """A run with a name of its own among those compared."""

    def __init__(self, name: str, results: Results) -> None:
        super().__init__(results)
        self.name = name

    @cached_property
    def columns(self) -> dict[At, tuple[str, BySeed]]:
        """What has finished: name of the index and the answers by seed."""
        return {
            (task, method, _base(retrieval, answers)): (retrieval, answers)
            for (task, method, retrieval), answers in self.examples.columns.items()
            if answers
        }

    @property
    def records(self) -> Iterator[tuple[tuple[At, int], Record]]:
        """Column, seed and record of everything that has finished."""
        for at, (_, answers) in self.columns.items():
            for seed, answer in answers.items():
                yield (at, seed), answer.record


def _base(retrieval: str, answers: BySeed) -> tuple[object, ...]:
    base = next(iter(answers.values())).record.retrieval
    if retrieval == OFF or base is None:
        return ()
    return tuple(getattr(base, axis) for axis in CELL_AXES)


class CompareInputs(ReportInputs):
    """Runs, finished or not, all of them against the first.

    Args:
        results: of at least two runs.

    Raises:
        CompareError: if there is one run only, or one comes twice.
    """

    def __init__(self, results: Sequence[Results]) -> None:
        super().__init__()
        if len(results) < 2:
            raise CompareError("give at least two runs: the others are compared with the first")
        folders = [result.folder.resolve() for result in results]
        for place, folder in enumerate(folders):
            if folder in folders[:place]:
                raise CompareError(f"RUN {folder.name} is given twice")
        named = zip(names(folders), results, strict=True)
        self.runs = tuple(ComparedRun(name, result) for name, result in named)
        self.first, self.others = self.runs[0], self.runs[1:]
        self.mini = any(run.mini for run in self.runs)

    @property
    def problems(self) -> list[tuple[str, Problem]]:
        """Run and file of what could not be used so far, each with its first reason."""
        return [
            (run.name, problem)
            for run in self.runs
            for problem in by_file(*run.results.problems, *run.examples.problems)
        ]
