"""Every method on every task, retrieval off and on side by side; averages over shared tasks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from bench.report.results import Results
from bench.report.scores import MAJORITY, OFF, TEACHER, Score
from bench.report.summary import Summary, points
from bench.report.table import EMPTY, Table
from bench.stats.difference import average_ranks

ON = "on"
CONTROLS = (MAJORITY, TEACHER)
ONE_SEED = "One seed has no standard deviation: a difference between two scores may be chance."
System = tuple[str, str]
"""(method, ``off`` or ``on``): what is averaged and ranked."""


@dataclass(frozen=True)
class Pair:
    """One method on one test split, by the task's selection metric.

    Attributes:
        header: how the task's columns are headed.
        index: behind which ``on`` was scored, the first of the plan; None without retrieval.
        off: the method alone; of the majority class and the teacher, what they are.
        on: with retrieval, None where there is none.
    """

    task: str
    header: str
    split: str
    metric: str
    method: str
    index: str | None
    off: Summary | None
    on: Summary | None


@dataclass(frozen=True)
class Overall:
    """One method with retrieval off or on, over the tasks that all of them have.

    Attributes:
        retrieval: ``off`` or ``on``.
        average: of its mean scores, a share; a task with two test splits counts once.
        rank: mean over tasks of its place among all methods, off and on; 1 is best.
        tasks: those that count.
        seeds: how many its scores are means of, distinct numbers in order.
    """

    method: str
    retrieval: str
    average: float
    rank: float
    tasks: list[str]
    seeds: tuple[int, ...]


def pairs(results: Results, found: Iterable[Score]) -> list[Pair]:
    """The methods in the order of the scores, each with the first index of the plan.

    The first and not the best: to choose an index by its test score would be a leak. Not the first
    that finished either: which one stands for retrieval must not depend on failures.

    Args:
        results: of the run.
        found: its scores.
    """
    offs: dict[tuple[str, str, str], Score] = {}
    ons: dict[tuple[str, str, str], Score] = {}
    for score in found:
        if not (score.test and score.selects):
            continue
        at = (score.method, score.task, score.split)
        if score.retrieval == OFF or score.method in CONTROLS:
            offs.setdefault(at, score)
        elif score.retrieval == results.first_index(score.task, score.method):
            ons[at] = score
    return [_pair(results, offs.get(at), ons.get(at)) for at in dict.fromkeys((*offs, *ons))]


def _pair(results: Results, off: Score | None, on: Score | None) -> Pair:
    either = off or on
    assert either is not None  # both dictionaries' keys were gone through
    return Pair(
        task=either.task,
        header=either.header,
        split=either.split,
        metric=either.metric,
        method=either.method,
        index=results.first_index(either.task, either.method),
        off=off.value if off else None,
        on=on.value if on else None,
    )


def by_system(found: Iterable[Pair]) -> dict[System, dict[str, float]]:
    """(method, off or on) -> task -> mean score; a task's test splits are averaged.

    A task with a split whose score is no number is left out, and so is who has no task left.
    """
    values: dict[System, dict[str, list[float]]] = {}
    for pair in found:
        for state, value in ((OFF, pair.off), (ON, pair.on)):
            if pair.method not in CONTROLS and value is not None:
                own = values.setdefault((pair.method, state), {}).setdefault(pair.task, [])
                own.append(math.nan if value.mean is None else value.mean)
    means = {
        system: {task: fmean(one) for task, one in own.items() if all(map(math.isfinite, one))}
        for system, own in values.items()
    }
    return {system: own for system, own in means.items() if own}


def overall(found: Sequence[Pair]) -> list[Overall]:
    """Averages and ranks; none where fewer than two tasks have every method.

    Only ``off`` and the first index are ranked: several indexes that answer nearly the same would
    push everyone below them down by as many places.
    """
    scores = by_system(found)
    tasks = shared(found, scores)
    if len(tasks) < 2:
        return []
    table = np.array([[own[task] for task in tasks] for own in scores.values()])
    figures = zip(scores, table.mean(axis=1).tolist(), average_ranks(table).tolist(), strict=True)
    return [
        Overall(method, state, average, rank, tasks, _seeds_of(found, method, state, tasks))
        for (method, state), average, rank in figures
    ]


def _seeds_of(
    found: Iterable[Pair], method: str, state: str, tasks: Sequence[str]
) -> tuple[int, ...]:
    own = (pair for pair in found if pair.method == method and pair.task in tasks)
    values = (pair.off if state == OFF else pair.on for pair in own)
    return tuple(sorted({value.n for value in values if value is not None}))


def shared(found: Iterable[Pair], scores: Mapping[System, Mapping[str, float]]) -> list[str]:
    """Tasks that every one of ``scores`` has (see :func:`by_system`), in the order of ``found``."""
    tasks = dict.fromkeys(pair.task for pair in found)
    return [task for task in tasks if all(task in own for own in scores.values())]


def off_on_table(found: Sequence[Pair]) -> Table:
    """Method x task with paired columns, then average and rank where they can be had."""
    headers = tuple(dict.fromkeys(pair.header for pair in found))
    rows: dict[str, dict[str, Pair]] = {}
    for pair in found:
        rows.setdefault(pair.method, {})[pair.header] = pair
    totals = {(total.method, total.retrieval): total for total in overall(found)}
    columns = [f"{header} {state}" for header in headers for state in (OFF, ON)]
    if totals:
        columns += [f"{what} {state}" for what in ("average", "rank") for state in (OFF, ON)]
    cells = []
    for method, row in rows.items():
        line = [method]
        for header in headers:
            own = row.get(header)
            line += [points(own.off), points(own.on)] if own else [EMPTY, EMPTY]
        if totals:
            both = [totals.get((method, state)) for state in (OFF, ON)]
            line += [f"{100 * one.average:.2f}" if one else EMPTY for one in both]
            line += [f"{one.rank:.2f}" if one else EMPTY for one in both]
        cells.append((*line, _seeds(row.values()) if method not in CONTROLS else EMPTY))
    return Table(
        "Retrieval off and on", ("method", *columns, "seeds"), tuple(cells), 1, _notes(found)
    )


def _seeds(found: Iterable[Pair]) -> str:
    counts = {value.n for pair in found for value in (pair.off, pair.on) if value is not None}
    return ", ".join(map(str, sorted(counts)))


def _notes(found: Sequence[Pair]) -> tuple[str, ...]:
    behind: dict[str, list[str]] = {}
    for pair in found:
        if pair.index is not None and pair.method not in behind.setdefault(pair.index, []):
            behind[pair.index].append(pair.method)
    told = "; ".join(
        index if len(behind) == 1 else f"{index} for {', '.join(methods)}"
        for index, methods in behind.items()
    )
    notes = [
        "Test split, in points: mean ± sd over seeds, by the task's selection metric. on is "
        f"behind the first index of the plan, {told}, and a dash where it has not finished: to "
        "show the best one would be a choice on the test split. The others are in Scores."
    ]
    values = [v for p in found if p.method not in CONTROLS for v in (p.off, p.on) if v is not None]
    if any(value.n == 1 for value in values):
        notes.append(ONE_SEED)
    uneven = [p for p in found if p.off and p.on and p.off.n != p.on.n]
    if uneven:
        names = ", ".join(dict.fromkeys(f"{pair.method} on {pair.task}" for pair in uneven))
        notes.append(
            f"off and on have different numbers of seeds ({names}): their difference there is not "
            "the gain of the same students; see Retrieval."
        )
    return (*notes, *_average_notes(found))


def _average_notes(found: Sequence[Pair]) -> list[str]:
    """Which tasks count, and who keeps the others from counting."""
    scores = by_system(found)
    tasks = dict.fromkeys(pair.task for pair in found)
    if len(tasks) < 2:
        return []
    common = shared(found, scores)
    missing = {
        task: [f"{method} {state}" for (method, state), own in scores.items() if task not in own]
        for task in tasks
        if task not in common
    }
    left_out = "; ".join(f"{task} ({', '.join(who)})" for task, who in missing.items())
    if len(common) < 2:
        return [f"No average: fewer than two tasks have a score of all. Missing: {left_out}."]
    note = (
        f"average and rank are over the tasks that all methods have, off and on: "
        f"{', '.join(common)}. rank: mean place among all of them, 1 is best, ties share a place."
    )
    if len(common) < len({(pair.task, pair.split) for pair in found if pair.task in common}):
        note += " A task with two test splits counts once."
    return [note] + ([f"Left out, for want of a score of: {left_out}."] if left_out else [])
