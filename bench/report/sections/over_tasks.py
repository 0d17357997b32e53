"""All tasks in one row: average score, average rank, and how often a difference held.

A row per method alone and per method with retrieval; none for a run of one task. ``retrieval``:
``off``, or the first index of the plan; ``tasks``: those that every row has a score on, what the
averages are over, and ``left_out`` the others; ``average`` and ``rank`` as in ``off_on``;
``seeds``: how many these scores are means of; ``better``, ``worse``, ``not_shown``: comparisons
with the baseline, one per test split of every task, ``untested`` those without a test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.report.frame import Row, rows, typed
from bench.report.inputs import RunInputs
from bench.report.scores import OFF, ON
from bench.report.section import METHOD, RETRIEVAL, Column, Section, View
from bench.report.sections import comparisons, off_on
from bench.report.verdict import Verdict

if TYPE_CHECKING:
    from pandas import DataFrame

TESTED = {"better": Verdict.BETTER, "worse": Verdict.WORSE, "not_shown": Verdict.NOT_SHOWN}


def _rows(inputs: RunInputs) -> DataFrame:
    results, pairs = inputs.results, inputs.frame(off_on.SECTION)
    tasks = list(dict.fromkeys(cell.plan.task for cell in results.cells))
    table = off_on.means(pairs)
    if len(tasks) < 2 or not len(table):
        return typed(())
    common, counts = off_on.shared(table), _outcomes(inputs)
    overall = {row.method: row for row in rows(pairs)}
    scored = off_on.systems(pairs)
    scored = scored[scored["task"].isin(common)]
    made = []
    for method, state in table.index:
        average = getattr(overall[method].average, state) if overall[method].average else None
        own = scored[(scored["method"] == method) & (scored["state"] == state)]
        indexes = dict.fromkeys(results.first_index(task, method) or "" for task in tasks)
        tested = {name: counts[method, state, outcome] for name, outcome in TESTED.items()}
        every = sum(n for at, n in counts.items() if at[:2] == (method, state))
        made.append(
            {
                "method": method,
                "retrieval": OFF if state == OFF else "; ".join(filter(None, indexes)),
                "tasks": common,
                "left_out": [task for task in tasks if task not in common],
                "average": average,
                "rank": None if average is None else getattr(overall[method].rank, state),
                "seeds": [] if average is None else sorted(own["n"].unique()),
                **tested,
                "untested": every - sum(tested.values()),
            }
        )
    return typed(made)


def _outcomes(inputs: RunInputs) -> Counter[tuple[str, str, str]]:
    """(method, off or on, outcome) -> number; of several indexes the first of the plan."""
    return Counter(
        (row.method, OFF if row.retrieval == OFF else ON, row.outcome)
        for row in rows(inputs.frame(comparisons.SECTION))
        if row.kind == "baseline"
        and row.retrieval in (OFF, inputs.results.first_index(row.task, row.method))
    )


COLUMNS = (
    METHOD,
    RETRIEVAL,
    Column("average", "average", off_on.percent),
    Column("rank", "rank", "{:.2f}".format),
    Column("n", "seeds", off_on.counts),
    Column("win / tie / loss", lambda row: _tests(row) or None),
    Column("not tested", lambda row: row.untested or None),
)


def _tests(row: Row) -> str:
    any_test = row.better + row.not_shown + row.worse
    return f"{row.better} / {row.not_shown} / {row.worse}" if any_test else ""


def _views(frame: DataFrame, inputs: RunInputs) -> Iterator[View]:
    if len(frame) and comparisons.worth(inputs.frame(comparisons.SECTION)):
        yield View("Over tasks", COLUMNS, tuple(_notes(rows(frame), inputs)))


def _notes(lines: list[Row], inputs: RunInputs) -> Iterator[str]:
    def named(tasks: list[str]) -> str:
        return ", ".join(inputs.titles.get(task, task) for task in tasks)

    first = lines[0]
    if len(first.tasks) < 2:
        yield "No average: fewer than two tasks have a score of every row."
    else:
        yield (
            f"average (points) and rank (1 is best) over the tasks that every row has a score on: "
            f"{named(first.tasks)}. The test splits of a task count as one. n: seeds of its scores."
        )
        if len({n for line in lines for n in line.seeds}) > 1:
            yield (
                "n differs between rows or tasks: a mean of few seeds may rank high or low by "
                "chance. See the status of cells."
            )
    if any(line.retrieval != OFF for line in lines):
        yield (
            "Retrieval is behind the first index of the plan: ranks would otherwise depend on how "
            "many indexes were tried. The others stand in the tables above."
        )
    if first.left_out:
        yield f"Left out, as not every row has a score: {named(first.left_out)}."
    if inputs.baseline:
        yield (
            f"win / tie / loss: differences from {inputs.baseline} on all test splits (a task may "
            "have two) that are better, not shown, or worse, after Holm's correction; not tested: "
            "one seed, or not comparable."
        )


SECTION = Section("over-tasks", "Over tasks", _rows, _views, under="comparisons")
