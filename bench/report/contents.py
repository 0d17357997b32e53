"""What a run's report is made from, and its sections, each named once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.records.store import Problem
from bench.report import (
    alignment,
    ann,
    attribution,
    comparison_tables,
    comparisons,
    costs,
    effects,
    effort,
    literature,
    origin,
    over_tasks,
    pairs,
    published,
    reference,
    scores,
    sensitivity,
    status,
    students,
    sweeps,
)
from bench.report.examples import Examples
from bench.report.results import Results
from bench.report.table import Table


@dataclass(frozen=True, eq=False)
class Contents:
    """Everything that was computed of a run, before any of it is shown."""

    results: Results
    baseline: str | None
    kept: bool
    scores: list[scores.Score]
    compared: list[comparisons.Comparison]
    pairs: list[pairs.Pair]
    over: list[over_tasks.OverTasks]
    biases: list[effects.Bias]
    known: published.Published
    beside: list[literature.Beside]
    effects: list[effects.Effect]
    costs: list[costs.Cost]
    indexes: list[ann.Index]
    ks: list[sensitivity.AtK]
    settings: list[sensitivity.AtBetaTau]
    corners: list[alignment.Corner]
    factors: list[attribution.Factor]
    efforts: list[effort.Effort]
    students: list[students.Training]
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
    examples, baseline = Examples(results), comparisons.baseline_of(results, baseline)
    found_scores, found_effects = scores.scores(results), effects.effects(results)
    factors, corners = attribution.factors(results), alignment.corners(results)
    if attribution.worth(factors):
        factors = reference.with_intervals(factors, results, examples)
        corners = alignment.with_intervals(corners, results, examples)
    compared = comparisons.comparisons(examples, baseline)
    found_pairs, known = pairs.pairs(results, found_scores), published.published()
    found_costs = costs.costs(results)
    found_sweeps, unswept = sweeps.sweeps(results)
    ks = sensitivity.by_k(found_sweeps)
    return Contents(
        results=results,
        baseline=baseline,
        kept=examples.kept,
        scores=found_scores,
        compared=compared,
        pairs=found_pairs,
        over=over_tasks.over_tasks(results, found_pairs, compared),
        biases=effects.biases(results),
        known=known,
        beside=literature.beside(results, found_scores, known),
        effects=found_effects,
        costs=found_costs,
        indexes=ann.indexes(found_effects, found_costs),
        ks=ks,
        settings=sensitivity.by_beta_tau(found_sweeps),
        corners=corners,
        factors=factors,
        efforts=effort.efforts(results),
        students=students.trainings(results),
        statuses=status.statuses(results),
        problems=by_file(*results.problems, *examples.problems, *unswept),
        facts=origin.facts(results.records),
    )


def parts(of: Contents) -> list[Part]:
    """All parts in the order of their sections."""
    attributed = attribution.worth(of.factors)
    trained = bool(of.students)
    return [
        Part(
            "scores",
            "Scores",
            True,
            lambda: (scores.headline(of.scores), scores.all_metrics(of.scores)),
            of.scores,
        ),
        Part(
            "comparisons",
            "Comparisons",
            comparisons.worth(of.compared),
            lambda: _comparisons(of),
            of.compared,
        ),
        Part(
            "off-on",
            "Retrieval off and on",
            any(pair.on for pair in of.pairs),
            lambda: [pairs.off_on_table(of.pairs)],
            of.pairs,
        ),
        Part(
            "published",
            "Published numbers",
            bool(of.beside),
            lambda: [literature.published_table(of.beside, of.known)],
            of.beside,
        ),
        Part(
            "alignment",
            "Alignment and retrieval",
            attributed,
            lambda: [alignment.corner_table(of.corners)],
            of.corners,
        ),
        Part("attribution", "Attribution", attributed, lambda: _attribution(of), of.factors),
        Part(
            "retrieval",
            "Retrieval",
            bool(of.effects),
            lambda: [effects.gain_table(of.effects)],
            of.effects,
        ),
        Part("ann", "Indexes", bool(of.indexes), lambda: [ann.index_table(of.indexes)], of.indexes),
        Part("k", "k", bool(of.ks), lambda: [sensitivity.k_table(of.ks)], of.ks),
        Part("beta-tau", "beta and tau", bool(of.ks), lambda: _beta_tau(of), of.settings),
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
        Part("cells", "Cells", True, lambda: _cells(of), of.statuses, about=True),
        Part(
            "provenance",
            "Provenance",
            bool(of.results.records),
            lambda: [origin.origin_table(of.facts)],
            about=True,
        ),
    ]


def _comparisons(of: Contents) -> Iterable[Table | None]:
    titles = {record.task: record.title for record in of.results.records}
    return (
        *comparison_tables.tables(of.compared, kept=of.kept),
        over_tasks.over_table(of.over, titles, of.baseline),
        effects.bias_table(of.biases),
    )


def _attribution(of: Contents) -> Iterable[Table | None]:
    return (
        attribution.gain_table(of.factors),
        reference.reference_table(of.factors),
        attribution.loss_table(of.factors),
    )


def _beta_tau(of: Contents) -> Iterable[Table | None]:
    return [sensitivity.beta_tau_table(sensitivity.behind_first(of.settings, of.results))]


def _cells(of: Contents) -> Iterable[Table | None]:
    return (
        status.count_table(of.statuses),
        status.trouble_table(of.statuses),
        status.file_table(of.problems),
    )


def by_file(*problems: Problem) -> tuple[Problem, ...]:
    """The first problem of every file."""
    return tuple({problem.path: problem for problem in reversed(problems)}.values())[::-1]
