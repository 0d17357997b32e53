"""Several runs beside each other, each with its columns: what their sections compute from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from bench.records.merged import names
from bench.records.results import Results
from bench.records.run import Record
from bench.records.store import Problem
from bench.report.examples import BySeed, Examples
from bench.report.inputs import Inputs, by_file
from bench.report.scores import OFF
from reaugkd.errors import UserError

At = tuple[str, str, tuple[object, ...]]
"""(task, method, knowledge base): a column whatever its run calls the index."""


class CompareError(UserError):
    """The runs cannot be compared."""


@dataclass(frozen=True, eq=False)
class ComparedRun:
    """A run with a name of its own among those compared."""

    name: str
    results: Results
    examples: Examples

    @cached_property
    def columns(self) -> dict[At, tuple[str, BySeed]]:
        """What has finished: name of the index and the answers by seed."""
        return {
            _at(task, method, retrieval, answers): (retrieval, answers)
            for (task, method, retrieval), answers in self.examples.columns.items()
            if answers
        }

    @property
    def records(self) -> Iterator[tuple[At, int, Record]]:
        """Column, seed and record of everything that has finished."""
        for at, (_, answers) in self.columns.items():
            for seed, answer in answers.items():
                yield at, seed, answer.record


class CompareInputs(Inputs):
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
        folders = [one.folder.resolve() for one in results]
        for place, folder in enumerate(folders):
            if folder in folders[:place]:
                raise CompareError(f"RUN {folder.name} is given twice")
        self.runs = tuple(
            ComparedRun(name, one, Examples(one))
            for name, one in zip(names(folders), results, strict=True)
        )

    @property
    def first(self) -> ComparedRun:
        """What the others are compared with."""
        return self.runs[0]

    @property
    def others(self) -> tuple[ComparedRun, ...]:
        """All runs but the first."""
        return self.runs[1:]

    @property
    def mini(self) -> bool:
        """Whether there are tasks of the embedded suite, which are not GLUE."""
        return any(record.suite == "mini" for run in self.runs for record in run.results.records)

    @property
    def problems(self) -> list[tuple[str, Problem]]:
        """Run and file of what could not be used so far, each with its first reason."""
        return [
            (run.name, problem)
            for run in self.runs
            for problem in by_file(*run.results.problems, *run.examples.problems)
        ]


def _at(task: str, method: str, retrieval: str, answers: BySeed) -> At:
    base = next(iter(answers.values())).record.retrieval
    if retrieval == OFF or base is None:
        return task, method, ()
    return task, method, (base.backend, base.keys, base.values, base.share, base.control)
