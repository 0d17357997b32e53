"""All tasks in one row: average score, average rank, and how often a difference held."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.report.comparisons import BETTER, NOT_SHOWN, WORSE, Comparison, of_kind
from bench.report.examples import BySeed, Column
from bench.report.table import EMPTY, Table
from bench.stats import average_ranks

Row = tuple[str, str]
"""(method, retrieval)."""


@dataclass(frozen=True)
class OverTasks:
    """One method without or with an index, over tasks.

    Attributes:
        tasks: those that every row has a score on; what the averages are over.
        left_out: the other tasks of the run.
        average: mean over ``tasks`` of the mean over test splits and seeds, a share; None unless
            there are two.
        rank: mean rank of that, 1 is best; equal scores share their mean rank.
        better, worse, not_shown: comparisons with the baseline, over all tasks and test splits.
        untested: those that no test could be made of.
    """

    method: str
    retrieval: str
    tasks: tuple[str, ...]
    left_out: tuple[str, ...]
    average: float | None
    rank: float | None
    better: int
    worse: int
    not_shown: int
    untested: int


def task_means(columns: Mapping[Column, BySeed]) -> dict[Row, dict[str, float]]:
    """(method, retrieval) -> task -> mean over test splits and seeds, by the metric it chooses by.

    Scores that are missing or not a number leave their task out.
    """
    found: dict[Row, dict[str, float]] = {}
    for (task, method, retrieval), answers in columns.items():
        row = found.setdefault((method, retrieval), {})
        values = [
            answer.scores.get(split, {}).get(answer.record.select_on, math.nan)
            for answer in answers.values()
            for split in answer.record.tests
        ]
        if values and all(map(math.isfinite, values)):
            row[task] = statistics.fmean(values)
    return found


def over_tasks(columns: Mapping[Column, BySeed], compared: Iterable[Comparison]) -> list[OverTasks]:
    """A row per method and index; none for a run of one task."""
    tasks = dict.fromkeys(task for task, _, _ in columns)
    means = {row: found for row, found in task_means(columns).items() if found}
    if len(tasks) < 2 or not means:
        return []
    shared = tuple(task for task in tasks if all(task in found for found in means.values()))
    counts: Counter[tuple[str, str, str]] = Counter()
    for one in of_kind(compared, "baseline"):
        tested = one.verdict in (BETTER, WORSE, NOT_SHOWN)
        counts[one.method, one.retrieval, one.verdict if tested else ""] += 1
    averages, ranks = _over(means, shared)
    return [
        OverTasks(
            method=method,
            retrieval=retrieval,
            tasks=shared,
            left_out=tuple(task for task in tasks if task not in shared),
            average=averages.get((method, retrieval)),
            rank=ranks.get((method, retrieval)),
            better=counts[method, retrieval, BETTER],
            worse=counts[method, retrieval, WORSE],
            not_shown=counts[method, retrieval, NOT_SHOWN],
            untested=counts[method, retrieval, ""],
        )
        for method, retrieval in means
    ]


def _over(
    means: Mapping[Row, Mapping[str, float]], tasks: Sequence[str]
) -> tuple[dict[Row, float], dict[Row, float]]:
    if len(tasks) < 2:
        return {}, {}
    scores = [[found[task] for task in tasks] for found in means.values()]
    averages = dict(zip(means, map(statistics.fmean, scores), strict=True))
    return averages, dict(zip(means, map(float, average_ranks(scores)), strict=True))


def over_table(
    found: Sequence[OverTasks], titles: Mapping[str, str], baseline: str | None
) -> Table | None:
    """Averages, ranks and counts; None for a run of one task.

    Args:
        found: the rows.
        titles: of the tasks.
        baseline: what the counts are against.
    """
    if not found:
        return None
    first = found[0]
    rows = tuple(
        (
            one.method,
            one.retrieval,
            EMPTY if one.average is None else f"{100 * one.average:.2f}",
            EMPTY if one.rank is None else f"{one.rank:.2f}",
            f"{one.better} / {one.not_shown} / {one.worse}" if _tests(one) else EMPTY,
            f"{one.untested}" if one.untested else EMPTY,
        )
        for one in found
    )
    columns = ("method", "retrieval", "average", "rank", "win / tie / loss", "not tested")
    return Table("Over tasks", columns, rows, 2, _notes(first, titles, baseline))


def _tests(one: OverTasks) -> int:
    return one.better + one.worse + one.not_shown


def _notes(first: OverTasks, titles: Mapping[str, str], baseline: str | None) -> tuple[str, ...]:
    def named(tasks: Iterable[str]) -> str:
        return ", ".join(titles.get(task, task) for task in tasks)

    notes = []
    if len(first.tasks) < 2:
        notes.append("No average: fewer than two tasks have a score of every row.")
    else:
        notes.append(
            f"average (points) and rank (1 is best) over the tasks that every row has a score on: "
            f"{named(first.tasks)}. The test splits of a task count as one."
        )
    if first.left_out:
        notes.append(f"Left out, as not every row has a score: {named(first.left_out)}.")
    if baseline:
        notes.append(
            f"win / tie / loss: differences from {baseline} on all test splits that are better, "
            "not shown, or worse, after Holm's correction; not tested: one seed, or not comparable."
        )
    return tuple(notes)
