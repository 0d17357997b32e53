"""The same column in two runs: paired on the seeds and the examples that both have.

A row per column of a ``run`` minus the same column of the ``first``, on one test split. ``here``,
``there``: scores of either as their records have them, over all seeds; ``seeds``: those that both
have, with outputs that can be used, and ``left_out`` the others; ``difference`` in shares;
``adjusted``: p after Holm's correction over all rows but those of one cell and its copy, which are
no tests. Columns that one of two runs lacks stand in a frame of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from pandas import DataFrame

from bench.records.run import Record
from bench.records.store import Problem
from bench.report.charts import differences
from bench.report.compared import At, ComparedRun, CompareInputs
from bench.report.examples import BySeed, StudentAnswers
from bench.report.frame import rows, typed
from bench.report.paired import Paired, PairedOutcome
from bench.report.section import METHOD, RETRIEVAL, TASK, Column, Section, View
from bench.report.sections.comparisons import FIGURES, VERDICT, corrected, notes, of_outcome
from bench.report.sections.plain import labels, one_table
from bench.report.summary import Summary, points, summarise
from bench.report.verdict import Verdict

OTHER_ROWS = "other rows: their labels differ"
OTHER_METRIC = "they choose by other metrics"
NOTE = (
    "score: mean ± sd over all seeds of the run; the difference is over the seeds that both runs "
    f"have. {Verdict.SAME}: to every example of every such seed; there is no test of one cell and "
    "its copy."
)
RUN = Column("run", "run", label=True)

Columns = dict[At, tuple[str, BySeed]]


def _rows(inputs: CompareInputs) -> DataFrame:
    """Every run minus the first, wherever both have a finished student of the same column."""
    tasks = dict.fromkeys(at[0] for at in inputs.first.columns)
    return typed(corrected([line for task in tasks for line in _of_task(inputs, task)]))


def _of_task(inputs: CompareInputs, task: str) -> Iterator[dict[str, Any]]:
    """One task's comparisons; the outputs of one task are resampled at a time."""
    first = inputs.first
    ours = {at: column for at, column in first.columns.items() if at[0] == task}
    record = _answers(ours)[0].record
    for split in record.tests:
        scored: Paired | None = None
        for run in inputs.others:
            theirs = {at: column for at, column in run.columns.items() if at in ours}
            if not theirs:
                continue
            against: Paired | None = None
            reason = _unlike(first, run, split, record, _answers(theirs)[0].record)
            if not reason:
                metric = record.select_on
                scored = scored or Paired(first.examples, _answers(ours), split, metric)
                against = Paired(run.examples, _answers(theirs), split, metric)
            for at, (name, answers) in theirs.items():
                index, before = ours[at]
                outcome = PairedOutcome((), None, (), reason)
                if against and scored:
                    outcome = against.compare(answers, before, scored)
                same = outcome.difference is not None and all(
                    _same((run, answers[seed]), (first, before[seed]), split)
                    for seed in outcome.seeds
                )
                copies = all(answers[s].record.key == before[s].record.key for s in outcome.seeds)
                if outcome.difference and same and copies:
                    # One cell and its copy: nothing to test, nor to correct the others for.
                    untested = replace(outcome.difference, p=None)
                    outcome = replace(outcome, difference=untested)
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
                    **of_outcome(outcome, answers, before),
                    "same": same,
                }


def _same(here: tuple[ComparedRun, Any], before: tuple[ComparedRun, Any], split: str) -> bool:
    ours, theirs = (run.examples.answers(answer, split) for run, answer in (here, before))
    if isinstance(ours, Problem) or isinstance(theirs, Problem):
        return False
    return np.array_equal(ours, theirs)


def _answers(columns: Columns) -> list[StudentAnswers]:
    return [answer for _, by_seed in columns.values() for answer in by_seed.values()]


def _unlike(first: ComparedRun, run: ComparedRun, split: str, record: Record, other: Record) -> str:
    """Why nothing of a split can be paired, or nothing."""
    if record.select_on != other.select_on:
        return OTHER_METRIC
    if split not in other.tests:
        return f"no split {split} in {run.name}"
    labels, others = (compared.examples.labels(record.task, split) for compared in (first, run))
    # What is missing is said of each column.
    return "" if labels is None or others is None or np.array_equal(labels, others) else OTHER_ROWS


def _scores(answers: BySeed, split: str, metric: str) -> Summary:
    return summarise(answer.scores.get(split, {}).get(metric) for answer in answers.values())


def _views(frame: DataFrame, inputs: CompareInputs) -> Iterator[View]:
    """Every comparison, in points."""
    if len(frame):
        first = inputs.first.name
        scores = (Column("score", "here", points), Column(f"score of {first}", "there", points))
        columns = (TASK, METHOD, RETRIEVAL, RUN, VERDICT, *scores, *FIGURES)
        what = f"score of the run minus that of {first}, paired by seed and example"
        sentences = (*notes(rows(frame), what), NOTE)
        yield View(f"Differences from {first}", columns, sentences)


def _unmatched(inputs: CompareInputs) -> DataFrame:
    """Columns of which there is nothing to compare with: ``has`` and ``lacks`` name the runs."""
    return typed(
        {"task": at[0], "method": at[1], "retrieval": name, "has": has.name, "lacks": lacks.name}
        for run in inputs.others
        for has, lacks in ((inputs.first, run), (run, inputs.first))
        for at, (name, _) in has.columns.items()
        if at not in lacks.columns
    )


UNMATCHED_COLUMNS = (
    *labels("task", "method"),
    Column(
        "retrieval", lambda row: "; ".join(column.retrieval for column in row.group), label=True
    ),
    Column("only in", "has", label=True),
    Column("not in", "lacks", label=True),
)

SECTION = Section(
    "comparisons",
    "Comparisons",
    _rows,
    _views,
    pictures=lambda frame, _: differences.of_runs(frame),
)
UNMATCHED = Section(
    "only-in-one",
    "Comparisons",
    _unmatched,
    one_table("Only in one of two runs", UNMATCHED_COLUMNS, by=("task", "method", "has", "lacks")),
    under="comparisons",
)
