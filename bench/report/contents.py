"""What a run's report is made from, and its sections, each named once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench.records.store import Problem
from bench.report import (
    alignment,
    attribution,
    effort,
    origin,
    reference,
    status,
    students,
)
from bench.report.figure import Figure
from bench.report.figures.run import pictures
from bench.report.frame import Row, rows
from bench.report.inputs import RunInputs
from bench.report.results import Results
from bench.report.section import Section
from bench.report.sections import (
    ann,
    beta_tau,
    comparisons,
    costs,
    k,
    off_on,
    over_tasks,
    published,
    retrieval,
    scores,
    selection_bias,
)
from bench.report.table import Table


@dataclass(frozen=True, eq=False)
class Contents:
    """Everything that was computed of a run, before any of it is shown."""

    inputs: RunInputs
    results: Results
    baseline: str | None
    corners: list[alignment.Corner]
    factors: list[attribution.Factor]
    efforts: list[effort.Effort]
    students: list[students.Training]
    pictured: dict[str, tuple[Figure, ...]]
    statuses: list[status.CellStatus]
    problems: tuple[Problem, ...]
    facts: origin.Facts


@dataclass(frozen=True)
class Part:
    """A section that there may be.

    Attributes:
        name, title, about: of the section.
        shown: whether it has anything to say.
        tables: makes its tables; None for one that there is not.
        records: behind the tables, also data where nothing is shown; None for a part without.
    """

    name: str
    title: str
    shown: bool
    tables: Callable[[], Iterable[Table | None]] = tuple
    records: Sequence[Any] | None = None
    about: bool = False


def contents(results: Results, baseline: str | None) -> Contents:
    """Compute everything.

    Raises:
        UnknownNameError: ``baseline`` is no method of the run.
    """
    inputs = RunInputs(results, baseline)
    factors, corners = attribution.factors(results), alignment.corners(results)
    if attribution.worth(factors):
        factors = reference.with_intervals(factors, results, inputs.examples)
        corners = alignment.with_intervals(corners, results, inputs.examples)
    of = partial(_rows, inputs)
    for section in (comparisons.SECTION, k.SECTION):  # what reads files may find problems
        of(section)
    return Contents(
        inputs=inputs,
        results=results,
        baseline=inputs.baseline,
        corners=corners,
        factors=factors,
        efforts=effort.efforts(results),
        students=students.trainings(results),
        pictured=pictures(
            results,
            scores=of(scores.SECTION),
            effects=of(retrieval.SECTION),
            costs=of(costs.SECTION),
            ks=of(k.SECTION),
        ),
        statuses=status.statuses(results),
        problems=inputs.problems,
        facts=inputs.facts,
    )


def parts(of: Contents) -> list[Part]:
    """All parts in the order of their sections."""
    attributed = attribution.worth(of.factors)
    trained = bool(of.students)
    return [
        _ported(of, scores.SECTION),
        _ported(of, comparisons.SECTION, over_tasks.SECTION, selection_bias.SECTION),
        _ported(of, off_on.SECTION),
        _ported(of, published.SECTION),
        Part(
            "alignment",
            "Alignment and retrieval",
            attributed,
            lambda: [alignment.corner_table(of.corners)],
            of.corners,
        ),
        Part("attribution", "Attribution", attributed, lambda: _attribution(of), of.factors),
        _ported(of, retrieval.SECTION),
        _ported(of, ann.SECTION),
        _ported(of, k.SECTION),
        _ported(of, beta_tau.SECTION),
        Part(
            "effort",
            "Cost of training",
            trained,
            lambda: [effort.effort_table(of.efforts)],
            of.efforts,
        ),
        Part(
            "training",
            "Training",
            trained,
            lambda: [students.training_table(of.students)],
            of.students,
        ),
        Part("curves", "Training curves", "curves" in of.pictured),
        Part("cells", "Cells", True, lambda: _cells(of), of.statuses, about=True),
        Part(
            "provenance",
            "Provenance",
            bool(of.results.records),
            lambda: [origin.origin_table(of.facts)],
            about=True,
        ),
    ]


def _rows(inputs: RunInputs, section: Section[RunInputs]) -> list[Row]:
    return rows(inputs.frame(section))


def _ported(of: Contents, section: Section[RunInputs], *under: Section[RunInputs]) -> Part:
    """A section on frames, as the old page wants it."""
    tables = [
        view.table(frame)
        for one in (section, *under)
        if (frame := of.inputs.frame(one)) is not None
        for view in one.views(frame, of.inputs)
    ]
    records = _rows(of.inputs, section)
    return Part(section.name, section.title, bool(tables), lambda: tables, records)


def _attribution(of: Contents) -> Iterable[Table | None]:
    return (
        attribution.gain_table(of.factors),
        reference.reference_table(of.factors),
        attribution.loss_table(of.factors),
    )


def _cells(of: Contents) -> Iterable[Table | None]:
    return (
        status.count_table(of.statuses),
        status.trouble_table(of.statuses),
        status.file_table(of.problems),
    )
