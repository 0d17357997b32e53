"""The same column in two runs: paired on the seeds and the examples that both have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.records.run import Record
from bench.records.store import Problem
from bench.report.comparison_tables import FIGURES, figures
from bench.report.comparisons import NOT_COMPARABLE, ONE_SEED, left_out, verdict
from bench.report.examples import BySeed, Column, Examples
from bench.report.paired import Outcome, Paired
from bench.report.results import Results
from bench.report.scores import OFF
from bench.report.summary import Summary, points, summarise
from bench.report.table import EMPTY, Table
from bench.stats.difference import LEVEL, RESAMPLES, Difference, holm

SAME = "same answers"
OTHER_ROWS = "other rows: their labels differ"
OTHER_METRIC = "they choose by other metrics"

At = tuple[str, str, tuple[object, ...]]
"""(task, method, knowledge base): a column whatever its run calls the index."""


@dataclass(frozen=True)
class RunComparison:
    """One column of a run minus the same column of the first run, on one test split.

    Attributes:
        run, first: names of the two runs.
        title: of the task, with the split where a task has several.
        metric: the one that the task chooses by.
        retrieval: the index, or ``off``.
        here, there: scores of ``run`` and of ``first`` as their records have them, all seeds.
        seeds: those that both have, with outputs that can be used.
        left_out: the other seeds of either.
        difference: ``run`` minus ``first`` over ``seeds``, in shares; None if not comparable.
        mcnemar: exact p of each seed's pair of students; empty for a regression.
        adjusted: p after Holm's correction over all comparisons of the report but those of one
            cell and its copy, which are no tests.
        verdict: ``better``, ``worse``, ``no difference shown``, ``one seed: no test``, ``same
            answers`` (to every example), or ``not comparable: <reason>``.
    """

    run: str
    first: str
    task: str
    title: str
    split: str
    metric: str
    method: str
    retrieval: str
    here: Summary
    there: Summary
    seeds: tuple[int, ...]
    left_out: tuple[int, ...]
    difference: Difference | None
    mcnemar: tuple[float, ...]
    adjusted: float | None
    verdict: str


@dataclass(frozen=True)
class Unmatched:
    """A column that a run has and the other has not.

    Attributes:
        has: name of the run that has it.
        lacks: name of the run that has not.
    """

    task: str
    method: str
    retrieval: str
    has: str
    lacks: str


@dataclass(frozen=True)
class Run:
    """A run with a name of its own among those compared."""

    name: str
    results: Results
    examples: Examples

    def columns(self) -> dict[At, tuple[str, BySeed]]:
        """What has finished: name of the index and the answers by seed."""
        found = self.examples.columns.items()
        return {_at(column, own): (column[2], own) for column, own in found if own}


def runs(found: Sequence[Results], names: Sequence[str]) -> list[Run]:
    """The runs with their outputs, which are read when they are needed."""
    return [Run(name, one, Examples(one)) for name, one in zip(names, found, strict=True)]


def compare(found: Sequence[Run]) -> list[RunComparison]:
    """Every run minus the first, wherever both have a finished student of the same column."""
    first, others = found[0], found[1:]
    made: list[RunComparison] = []
    for task in dict.fromkeys(at[0] for at in first.columns()):
        made += _of_task(first, others, task)
    adjusted = holm([one.difference.p if one.difference else None for one in made])
    pairs = zip(made, adjusted, strict=True)
    return [
        replace(one, adjusted=p, verdict=verdict(one.verdict, one.difference, p))
        for one, p in pairs
    ]


def unmatched(found: Sequence[Run]) -> list[Unmatched]:
    """Columns of which there is nothing to compare with, as one of the two has none."""
    first, made = found[0], []
    for other in found[1:]:
        for has, lacks in ((first, other), (other, first)):
            known = lacks.columns()
            made += [
                Unmatched(at[0], at[1], retrieval, has.name, lacks.name)
                for at, (retrieval, _) in has.columns().items()
                if at not in known
            ]
    return made


def records(found: Run) -> Iterator[tuple[At, int, Record]]:
    """Column, seed and record of everything that has finished."""
    for at, (_, own) in found.columns().items():
        for seed, answer in own.items():
            yield at, seed, answer.record


def _at(column: Column, found: BySeed) -> At:
    task, method, retrieval = column
    base = next(iter(found.values())).record.retrieval
    if retrieval == OFF or base is None:
        return task, method, ()
    return task, method, (base.backend, base.keys, base.values, base.share, base.control)


def _of_task(first: Run, others: Sequence[Run], task: str) -> Iterator[RunComparison]:
    """One task's comparisons; the outputs of one task are resampled at a time."""
    own = {at: found for at, found in first.columns().items() if at[0] == task}
    record = _record(next(iter(own.values()))[1])
    for split in record.tests:
        paired: Paired | None = None
        for other in others:
            theirs = {at: found for at, found in other.columns().items() if at in own}
            if not theirs:
                continue
            reason = _other(
                first, other, task, split, record, _record(next(iter(theirs.values()))[1])
            )
            if not reason and paired is None:
                paired = _paired(first, own, split, record.select_on)
            against = None if reason else _paired(other, theirs, split, record.select_on)
            for at, (name, found) in theirs.items():
                index, before = own[at]
                outcome = Outcome((), None, (), reason)
                if against is not None and paired is not None:
                    outcome = against.compare(found, before, paired)
                yield _comparison(
                    other, first, at, max(index, name, key=len), split, found, before, outcome
                )


def _paired(run: Run, own: dict[At, tuple[str, BySeed]], split: str, metric: str) -> Paired:
    answers = [answer for _, found in own.values() for answer in found.values()]
    return Paired(run.examples, answers, split, metric)


def _record(found: BySeed) -> Record:
    return next(iter(found.values())).record


def _other(first: Run, other: Run, task: str, split: str, one: Record, two: Record) -> str:
    """Why nothing of a split can be paired, or nothing."""
    if one.select_on != two.select_on:
        return OTHER_METRIC
    if split not in two.tests:
        return f"no split {split} in {other.name}"
    here, there = first.examples.labels(task, split), other.examples.labels(task, split)
    if here is None or there is None:
        return ""  # what is missing is said of each column
    return "" if np.array_equal(here, there) else OTHER_ROWS


def _comparison(
    run: Run,
    first: Run,
    at: At,
    index: str,
    split: str,
    found: BySeed,
    before: BySeed,
    outcome: Outcome,
) -> RunComparison:
    record = _record(before)
    known = f"{NOT_COMPARABLE}: {outcome.reason}" if outcome.reason else ""
    difference = outcome.difference
    if difference and _same(run, first, found, before, split, outcome.seeds):
        known = SAME
        if all(found[seed].record.key == before[seed].record.key for seed in outcome.seeds):
            # One cell and its copy: there is nothing to test, nor to correct the others for.
            difference = replace(difference, p=None)
    return RunComparison(
        run=run.name,
        first=first.name,
        task=record.task,
        title=record.heading(split),
        split=split,
        metric=record.select_on,
        method=at[1],
        retrieval=index,
        here=_scores(found, split, record.select_on),
        there=_scores(before, split, record.select_on),
        seeds=outcome.seeds,
        left_out=left_out(outcome, found, before),
        difference=difference,
        mcnemar=outcome.mcnemar,
        adjusted=None,
        verdict=known,
    )


def _scores(found: BySeed, split: str, metric: str) -> Summary:
    return summarise(answer.scores.get(split, {}).get(metric) for answer in found.values())


def _same(
    run: Run, first: Run, found: BySeed, before: BySeed, split: str, seeds: Sequence[int]
) -> bool:
    for seed in seeds:
        one = run.examples.answers(found[seed], split)
        other = first.examples.answers(before[seed], split)
        if isinstance(one, Problem) or isinstance(other, Problem):
            return False
        if not np.array_equal(one, other):
            return False
    return True


LABELS = ("task", "method", "retrieval", "run", "verdict")


def table(found: Sequence[RunComparison]) -> Table:
    """Every comparison, in points."""
    first = found[0].first if found else EMPTY
    columns = (*LABELS, "score", f"score of {first}", *FIGURES)
    notes = [
        f"Test split, in points, by the metric that the task chooses by: score of the run minus "
        f"that of {first}, paired by seed and example. better, worse: p < {LEVEL:g} after Holm's "
        "correction over this table; other differences may be chance. The interval and p hold "
        f"over seeds and examples ({RESAMPLES:,} resamples of the examples).",
        "score: mean ± sd over all seeds of the run; the difference is over the seeds that both "
        f"runs have. {SAME}: to every example of every such seed; there is no test of one cell and "
        "its copy.",
    ]
    if any(one.verdict == ONE_SEED for one in found):
        notes.append(
            "One seed: McNemar's exact p is of that pair of students, not of the methods or the "
            "runs; another seed may differ more than the two do."
        )
    elif any(one.mcnemar for one in found):
        notes.append(
            "McNemar p: exact test of each seed's pair of students; of several seeds, how many "
            f"are below {LEVEL:g} (not corrected)."
        )
    title = f"Differences from {first}"
    return Table(title, columns, tuple(map(_row, found)), len(LABELS), tuple(notes))


def unmatched_table(found: Sequence[Unmatched]) -> Table | None:
    """What could not be compared, or None."""
    by_student: dict[tuple[str, ...], list[str]] = {}
    for one in found:
        at = (one.task, one.method, one.has, one.lacks)
        by_student.setdefault(at, []).append(one.retrieval)
    rows = tuple(
        (task, method, "; ".join(names), has, lacks)
        for (task, method, has, lacks), names in by_student.items()
    )
    columns = ("task", "method", "retrieval", "only in", "not in")
    return Table("Only in one of two runs", columns, rows, len(columns)) if rows else None


def _row(one: RunComparison) -> tuple[str, ...]:
    labels = (one.title, one.method, one.retrieval, one.run, one.verdict)
    found = figures(one)
    scores = (points(one.here), points(one.there))
    return (*labels, *scores, *(found.get(name, EMPTY) for name in FIGURES))
