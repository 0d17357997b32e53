"""All tasks in one row: average score, average rank, and how often a difference held."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.report.comparisons import BETTER, NOT_SHOWN, WORSE, Comparison, of_kind
from bench.report.pairs import ON, Pair, by_system, overall, shared
from bench.report.results import Results
from bench.report.scores import OFF
from bench.report.table import EMPTY, Table


@dataclass(frozen=True)
class OverTasks:
    """One method without or with retrieval, over tasks.

    Attributes:
        retrieval: ``off``, or the first index of the plan.
        tasks: those that every row has a score on; what the averages are over.
        left_out: the other tasks of the run.
        average, rank, seeds: see :class:`bench.report.pairs.Overall`; None and none unless there
            are two ``tasks``.
        better, worse, not_shown: comparisons with the baseline, one per test split of every task.
        untested: those that no test could be made of.
    """

    method: str
    retrieval: str
    tasks: tuple[str, ...]
    left_out: tuple[str, ...]
    average: float | None
    rank: float | None
    seeds: tuple[int, ...]
    better: int
    worse: int
    not_shown: int
    untested: int


def over_tasks(
    results: Results, found: Sequence[Pair], compared: Iterable[Comparison]
) -> list[OverTasks]:
    """A row per method alone and per method with retrieval; none for a run of one task."""
    tasks = tuple(dict.fromkeys(cell.plan.task for cell in results.cells))
    systems = by_system(found)
    if len(tasks) < 2:
        return []
    common = tuple(shared(found, systems))
    totals = {(one.method, one.retrieval): one for one in overall(found)}
    counts = _counts(results, compared)
    rows = []
    for method, state in systems:
        total, own = totals.get((method, state)), counts[method, state]
        indexes = dict.fromkeys(results.first_index(task, method) or "" for task in tasks)
        rows.append(
            OverTasks(
                method=method,
                retrieval=OFF if state == OFF else "; ".join(filter(None, indexes)),
                tasks=common,
                left_out=tuple(task for task in tasks if task not in common),
                average=total.average if total else None,
                rank=total.rank if total else None,
                seeds=total.seeds if total else (),
                better=own[BETTER],
                worse=own[WORSE],
                not_shown=own[NOT_SHOWN],
                untested=own.total() - own[BETTER] - own[WORSE] - own[NOT_SHOWN],
            )
        )
    return rows


def _counts(
    results: Results, compared: Iterable[Comparison]
) -> defaultdict[tuple[str, str], Counter[str]]:
    """(method, off or on) -> verdict -> number; of several indexes the first of the plan."""
    found: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for one in of_kind(compared, "baseline"):
        if one.retrieval in (OFF, results.first_index(one.task, one.method)):
            found[one.method, OFF if one.retrieval == OFF else ON][one.verdict] += 1
    return found


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
    rows = tuple(
        (
            one.method,
            one.retrieval,
            EMPTY if one.average is None else f"{100 * one.average:.2f}",
            EMPTY if one.rank is None else f"{one.rank:.2f}",
            ", ".join(map(str, one.seeds)) or EMPTY,
            f"{one.better} / {one.not_shown} / {one.worse}" if _tests(one) else EMPTY,
            f"{one.untested}" if one.untested else EMPTY,
        )
        for one in found
    )
    columns = ("method", "retrieval", "average", "rank", "n", "win / tie / loss", "not tested")
    return Table("Over tasks", columns, rows, 2, _notes(found, titles, baseline))


def _tests(one: OverTasks) -> int:
    return one.better + one.worse + one.not_shown


def _notes(
    found: Sequence[OverTasks], titles: Mapping[str, str], baseline: str | None
) -> tuple[str, ...]:
    def named(tasks: Iterable[str]) -> str:
        return ", ".join(titles.get(task, task) for task in tasks)

    first, notes = found[0], []
    if len(first.tasks) < 2:
        notes.append("No average: fewer than two tasks have a score of every row.")
    else:
        notes.append(
            f"average (points) and rank (1 is best) over the tasks that every row has a score on: "
            f"{named(first.tasks)}. The test splits of a task count as one. n: seeds of its scores."
        )
        if len({n for one in found for n in one.seeds}) > 1:
            notes.append(
                "n differs between rows or tasks: a mean of few seeds may rank high or low by "
                "chance. See the status of cells."
            )
    if any(one.retrieval != OFF for one in found):
        notes.append(
            "Retrieval is behind the first index of the plan: ranks would otherwise depend on how "
            "many indexes were tried. The others stand in the tables above."
        )
    if first.left_out:
        notes.append(f"Left out, as not every row has a score: {named(first.left_out)}.")
    if baseline:
        notes.append(
            f"win / tie / loss: differences from {baseline} on all test splits (a task may have "
            "two) that are better, not shown, or worse, after Holm's correction; not tested: one "
            "seed, or not comparable."
        )
    return tuple(notes)
