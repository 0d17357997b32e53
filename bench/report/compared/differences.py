"""The same column in two runs: paired on the seeds and the examples that both have.

A row per column of a ``run`` minus the same column of the ``first``, on one test split. ``here``,
``there``: scores of either as their records have them, over all seeds; ``seeds``: those that both
have, with outputs that can be used, and ``left_out`` the others; ``difference`` in shares;
``adjusted``: p after Holm's correction over all rows but those of one cell and its copy, which are
no tests. Columns that one of two runs lacks stand in a frame of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.records.run import Record
from bench.records.store import Problem
from bench.report.charts import differences
from bench.report.compared.inputs import ComparedRun, CompareInputs
from bench.report.examples import BySeed
from bench.report.frame import Row, rows, typed
from bench.report.paired import Outcome, Paired
from bench.report.section import METHOD, RETRIEVAL, TASK, Column, Section, View
from bench.report.sections.comparisons import FIGURES, VERDICT, of_outcome
from bench.report.summary import Summary, points, summarise
from bench.report.verdict import Verdict, in_words, of_test
from bench.stats.difference import LEVEL, RESAMPLES, holm

if TYPE_CHECKING:
    from pandas import DataFrame

OTHER_ROWS = "other rows: their labels differ"
OTHER_METRIC = "they choose by other metrics"


def _rows(inputs: CompareInputs) -> DataFrame:
    """Every run minus the first, wherever both have a finished student of the same column."""
    tasks = dict.fromkeys(at[0] for at in inputs.first.columns)
    lines = [line for task in tasks for line in _of_task(inputs, task)]
    adjusted = holm([d.p if (d := line["difference"]) else None for line in lines])
    for line, p in zip(lines, adjusted, strict=True):
        same = line.pop("same")
        outcome = Verdict.SAME if same else of_test(line["difference"], p)
        verdict = in_words(outcome, line["reason"])
        line.update(adjusted=p, outcome=str(outcome), verdict=verdict)
    return typed(lines)


def _of_task(inputs: CompareInputs, task: str) -> Iterator[dict[str, Any]]:
    """One task's comparisons; the outputs of one task are resampled at a time."""
    first = inputs.first
    ours = {at: column for at, column in first.columns.items() if at[0] == task}
    record = _record(ours)
    for split in record.tests:
        paired: Paired | None = None
        for run in inputs.others:
            theirs = {at: column for at, column in run.columns.items() if at in ours}
            if not theirs:
                continue
            reason = _unlike(first, run, split, record, _record(theirs))
            against: Paired | None = None
            if not reason:
                paired = paired or _paired(first, ours, split, record.select_on)
                against = _paired(run, theirs, split, record.select_on)
            for at, (name, answers) in theirs.items():
                index, before = ours[at]
                outcome = Outcome((), None, (), reason)
                if against is not None and paired is not None:
                    outcome = against.compare(answers, before, paired)
                yield {
                    "run": run.name,
                    "first": first.name,
                    "task": task,
                    "title": record.heading(split),
                    "split": split,
                    "metric": record.select_on,
                    "method": at[1],
                    "retrieval": max(index, name, key=len),
                    "here": _scores(answers, split, record.select_on),
                    "there": _scores(before, split, record.select_on),
                    **_told(outcome, first, run, before, answers, split),
                }


def _told(
    outcome: Outcome,
    first: ComparedRun,
    run: ComparedRun,
    before: BySeed,
    answers: BySeed,
    split: str,
) -> dict[str, Any]:
    """The outcome as fields of a row."""
    same = outcome.difference is not None and all(
        _same(first, run, before, answers, split, seed) for seed in outcome.seeds
    )
    fields = of_outcome(outcome, answers, before) | {"reason": outcome.reason, "same": same}
    copies = (answers[seed].record.key == before[seed].record.key for seed in outcome.seeds)
    if outcome.difference and same and all(copies):
        # One cell and its copy: there is nothing to test, nor to correct the others for.
        fields["difference"] = replace(outcome.difference, p=None)
    return fields


def _same(
    first: ComparedRun, run: ComparedRun, before: BySeed, answers: BySeed, split: str, seed: int
) -> bool:
    one = run.examples.answers(answers[seed], split)
    other = first.examples.answers(before[seed], split)
    if isinstance(one, Problem) or isinstance(other, Problem):
        return False
    return np.array_equal(one, other)


def _paired(run: ComparedRun, columns: Any, split: str, metric: str) -> Paired:
    answers = [answer for _, by_seed in columns.values() for answer in by_seed.values()]
    return Paired(run.examples, answers, split, metric)


def _record(columns: Any) -> Record:
    _, answers = next(iter(columns.values()))
    record: Record = next(iter(answers.values())).record
    return record


def _unlike(first: ComparedRun, run: ComparedRun, split: str, one: Record, other: Record) -> str:
    """Why nothing of a split can be paired, or nothing."""
    if one.select_on != other.select_on:
        return OTHER_METRIC
    if split not in other.tests:
        return f"no split {split} in {run.name}"
    here, there = first.examples.labels(one.task, split), run.examples.labels(one.task, split)
    if here is None or there is None:
        return ""  # what is missing is said of each column
    return "" if np.array_equal(here, there) else OTHER_ROWS


def _scores(answers: BySeed, split: str, metric: str) -> Summary:
    return summarise(answer.scores.get(split, {}).get(metric) for answer in answers.values())


RUN = Column("run", "run", label=True)


def _views(frame: DataFrame, inputs: CompareInputs) -> Iterator[View]:
    """Every comparison, in points."""
    if len(frame):
        first = inputs.first.name
        scores = (Column("score", "here", points), Column(f"score of {first}", "there", points))
        yield View(
            f"Differences from {first}",
            (TASK, METHOD, RETRIEVAL, RUN, VERDICT, *scores, *FIGURES),
            tuple(_notes(rows(frame), first)),
        )


def _notes(lines: Sequence[Row], first: str) -> Iterator[str]:
    yield (
        f"Test split, in points, by the metric that the task chooses by: score of the run minus "
        f"that of {first}, paired by seed and example. better, worse: p < {LEVEL:g} after Holm's "
        "correction over this table; other differences may be chance. The interval and p hold "
        f"over seeds and examples ({RESAMPLES:,} resamples of the examples)."
    )
    yield (
        "score: mean ± sd over all seeds of the run; the difference is over the seeds that both "
        f"runs have. {Verdict.SAME}: to every example of every such seed; there is no test of one "
        "cell and its copy."
    )
    if any(line.outcome == Verdict.ONE_SEED for line in lines):
        yield (
            "One seed: McNemar's exact p is of that pair of students, not of the methods or the "
            "runs; another seed may differ more than the two do."
        )
    elif any(line.mcnemar for line in lines):
        yield (
            "McNemar p: exact test of each seed's pair of students; of several seeds, how many "
            f"are below {LEVEL:g} (not corrected)."
        )


def _unmatched(inputs: CompareInputs) -> DataFrame:
    """Columns of which there is nothing to compare with: ``has`` and ``lacks`` name the runs."""
    return typed(
        {"task": at[0], "method": at[1], "retrieval": name, "has": has.name, "lacks": lacks.name}
        for run in inputs.others
        for has, lacks in ((inputs.first, run), (run, inputs.first))
        for at, (name, _) in has.columns.items()
        if at not in lacks.columns
    )


def _unmatched_views(frame: DataFrame, _: CompareInputs) -> Iterator[View]:
    if len(frame):
        yield View(
            "Only in one of two runs",
            (
                Column("task", "task", label=True),
                METHOD,
                Column("retrieval", _indexes, label=True),
                Column("only in", "has", label=True),
                Column("not in", "lacks", label=True),
            ),
            by=("task", "method", "has", "lacks"),
        )


def _indexes(row: Row) -> str:
    return "; ".join(one.retrieval for one in row.group)


SECTION = Section(
    "comparisons",
    "Comparisons",
    _rows,
    _views,
    pictures=lambda frame, _: differences.of_runs(frame),
)
UNMATCHED = Section("only-in-one", "Comparisons", _unmatched, _unmatched_views, under="comparisons")
