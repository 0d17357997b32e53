"""Retrieval off and on: every method on every test split, and over all tasks.

``off-on``: a row per method and test split, by the task's selection metric. ``off``: the method
alone; of the majority class and the teacher, what they are. ``on``: behind ``index``, the first of
the plan and not the best (to choose one by its test score would be a leak), nor the first that
finished (which one stands for retrieval must not depend on failures). ``seeds``: how many the
scores of a method are means of. ``average`` and ``rank`` (mean place among all methods, off and on;
1 is best) are over the tasks that all methods have, and missing where these are fewer than two.

``over-tasks``: a row per method alone and per method with retrieval; none for a run of one task.
``retrieval``: ``off``, or the first index of the plan; ``tasks``: those that every row has a score
on, what the averages are over, and ``left_out`` the others; ``seeds``: how many these scores are
means of; ``better``, ``worse``, ``not_shown``: comparisons with the baseline, one per test split of
every task, ``untested`` those without a test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pandas
from pandas import DataFrame

from bench.report.charts import scores as charts
from bench.report.frame import Row, rows, typed
from bench.report.inputs import RunInputs
from bench.report.scores import CONTROLS, OFF, ON
from bench.report.section import METHOD, RETRIEVAL, Column, Section, View
from bench.report.sections import comparisons, scores
from bench.report.sections.plain import grouped
from bench.report.summary import points
from bench.report.verdict import Verdict

ONE_SEED = "One seed has no standard deviation: a difference between two scores may be chance."
STATES = (OFF, ON)


def _rows(inputs: RunInputs) -> DataFrame:
    """The methods in the order of the scores."""
    pairs: dict[tuple[str, str, str], dict[str, Any]] = {}
    for score in rows(inputs.frame(scores.SECTION)):
        index = inputs.results.first_index(score.task, score.method)
        alone = score.retrieval == OFF or score.method in CONTROLS
        if score.test and score.selects and (alone or score.retrieval == index):
            names = ("task", "header", "split", "metric", "method")
            pair = {name: getattr(score, name) for name in names}
            pair |= {"index": index, OFF: None, ON: None}
            pair = pairs.setdefault((score.method, score.task, score.split), pair)
            pair[OFF if alone else ON] = vars(score.value)
    frame = typed(pairs.values())
    if not len(frame):
        return frame
    overall = averages(means(frame))
    values = {
        f"{name}.{state}": [overall[name].get((method, state)) for method in frame["method"]]
        for name in overall
        for state in STATES
    }
    counts = _long(frame).groupby("method").n
    seeds = {method: sorted(count.unique().tolist()) for method, count in counts}
    return frame.assign(**values, seeds=[seeds.get(method) for method in frame["method"]])


def _long(pairs: DataFrame) -> DataFrame:
    """A row per score of a student: ``method``, ``state`` (off, on), task, split, mean and n."""
    names = ["method", "task", "split", "mean", "n"]
    both = pandas.concat(
        pairs.reindex(columns=[*names[:3], f"{state}.mean", f"{state}.n"])
        .set_axis(names, axis=1)
        .assign(state=state)
        for state in STATES
    )
    both = both[both["n"].notna() & ~both["method"].isin(CONTROLS)]
    return both.astype({"mean": float, "n": int}).sort_index(kind="stable")


def means(pairs: DataFrame) -> DataFrame:
    """The mean score of every (method, off or on) [rows] on every task [columns].

    A task's test splits are averaged. NaN where one has no score; who has no task is left out.
    """
    if not len(pairs):
        return DataFrame()
    table = _long(pairs).pivot_table(
        "mean",
        ["method", "state"],
        "task",
        aggfunc=lambda of_task: of_task.mean(skipna=False),
        sort=False,
    )
    return table.reindex(columns=pairs["task"].drop_duplicates())


def shared(table: DataFrame) -> list[str]:
    """Tasks that every row of :func:`means` has."""
    return [str(task) for task in table if table[task].notna().all()]


def averages(table: DataFrame) -> DataFrame:
    """Average and rank of every row of :func:`means`; no rows for fewer than two shared tasks."""
    whole = table[shared(table)]
    if whole.shape[1] < 2:
        whole = whole.iloc[:0]
    rank = whole.rank(ascending=False).mean(axis=1)
    return DataFrame({"average": whole.mean(axis=1), "rank": rank})


def _views(frame: DataFrame, _: RunInputs) -> Iterator[View]:
    """Method x task with paired columns, then average and rank where they can be had."""
    pairs = rows(frame)
    if not any(pair.on for pair in pairs):
        return
    scored = (
        Column(f"{header} {state}", state, points, at=("header", header))
        for header in frame["header"].drop_duplicates()
        for state in STATES
    )
    overall = [
        Column(f"{name} {state}", f"{name}.{state}", show)
        for name, show in (("average", _percent), ("rank", "{:.2f}".format))
        for state in STATES
        if any(pair.average for pair in pairs)
    ]
    columns = (METHOD, *scored, *overall, Column("seeds", "seeds", _counts))
    yield View("Retrieval off and on", columns, tuple(_notes(frame)), by=("method",))


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _counts(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def _notes(frame: DataFrame) -> Iterator[str]:
    pairs = rows(frame)
    behind = grouped((pair.index, pair.method) for pair in pairs if pair.index is not None)
    indexes = "; ".join(
        index if len(behind) == 1 else f"{index} for {', '.join(dict.fromkeys(methods))}"
        for index, methods in behind.items()
    )
    yield (
        "Test split, in points: mean ± sd over seeds, by the task's selection metric. on is "
        f"behind the first index of the plan, {indexes}, and a dash where it has not finished: to "
        "show the best one would be a choice on the test split. The others are in Scores."
    )
    if any(1 in pair.seeds for pair in pairs if pair.seeds):
        yield ONE_SEED
    uneven = [pair for pair in pairs if pair.off and pair.on and pair.off.n != pair.on.n]
    if uneven:
        names = ", ".join(dict.fromkeys(f"{pair.method} on {pair.task}" for pair in uneven))
        yield (
            f"off and on have different numbers of seeds ({names}): their difference there is not "
            "the gain of the same students; see Retrieval."
        )
    if frame["task"].nunique() > 1:
        yield from _average_notes(frame)


def _average_notes(frame: DataFrame) -> Iterator[str]:
    """Which tasks count, and who keeps the others from counting."""
    table = means(frame)
    common = shared(table)
    missing = {
        task: ", ".join(f"{method} {state}" for method, state in table.index[table[task].isna()])
        for task in table
        if task not in common
    }
    left_out = "; ".join(f"{task} ({who})" for task, who in missing.items())
    if len(common) < 2:
        yield f"No average: fewer than two tasks have a score of all. Missing: {left_out}."
        return
    note = (
        f"average and rank are over the tasks that all methods have, off and on: "
        f"{', '.join(common)}. rank: mean place among all of them, 1 is best, ties share a place."
    )
    splits = frame[frame["task"].isin(common)][["task", "split"]].drop_duplicates()
    yield note + (" A task with two test splits counts once." * (len(common) < len(splits)))
    if left_out:
        yield f"Left out, for want of a score of: {left_out}."


TESTED = {"better": Verdict.BETTER, "worse": Verdict.WORSE, "not_shown": Verdict.NOT_SHOWN}


def _over(inputs: RunInputs) -> Iterator[dict[str, Any]]:
    results, pairs = inputs.results, inputs.frame(SECTION)
    tasks = list(dict.fromkeys(cell.plan.task for cell in results.cells))
    table = means(pairs)
    if len(tasks) < 2 or not len(table):
        return
    common, overall, scored, outcomes = (
        shared(table), averages(table), _long(pairs), _outcomes(inputs)
    )  # fmt: skip
    scored = scored[scored["task"].isin(common)]
    for method, state in table.index:
        of_method = scored[(scored["method"] == method) & (scored["state"] == state)]
        average, rank = (overall[name].get((method, state)) for name in ("average", "rank"))
        indexes = dict.fromkeys(results.first_index(task, method) or "" for task in tasks)
        tested = {name: outcomes[method, state, outcome] for name, outcome in TESTED.items()}
        every = sum(n for at, n in outcomes.items() if at[:2] == (method, state))
        yield {
            "method": method,
            "retrieval": OFF if state == OFF else "; ".join(filter(None, indexes)),
            "tasks": common,
            "left_out": [task for task in tasks if task not in common],
            "average": average,
            "rank": rank,
            "seeds": [] if average is None else sorted(of_method["n"].unique()),
            **tested,
            "untested": every - sum(tested.values()),
        }


def _outcomes(inputs: RunInputs) -> Counter[tuple[str, str, str]]:
    """(method, off or on, outcome) -> number; of several indexes the first of the plan."""
    return Counter(
        (row.method, OFF if row.retrieval == OFF else ON, row.outcome)
        for row in rows(inputs.frame(comparisons.SECTION))
        if row.kind == "baseline"
        and row.retrieval in (OFF, inputs.results.first_index(row.task, row.method))
    )


def _tests(row: Row) -> str | None:
    any_test = row.better + row.not_shown + row.worse
    return f"{row.better} / {row.not_shown} / {row.worse}" if any_test else None


OVER_COLUMNS = (
    METHOD,
    RETRIEVAL,
    Column("average", "average", _percent),
    Column("rank", "rank", "{:.2f}".format),
    Column("n", "seeds", _counts),
    Column("win / tie / loss", _tests),
    Column("not tested", lambda row: row.untested or None),
)


def _over_views(frame: DataFrame, inputs: RunInputs) -> Iterator[View]:
    if len(frame) and comparisons.worth(inputs.frame(comparisons.SECTION)):
        yield View("Over tasks", OVER_COLUMNS, tuple(_over_notes(rows(frame), inputs)))


def _over_notes(lines: list[Row], inputs: RunInputs) -> Iterator[str]:
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


SECTION = Section(
    "off-on", "Retrieval off and on", _rows, _views, pictures=lambda frame, _: charts.off_on(frame)
)
OVER_TASKS = Section(
    "over-tasks",
    "Over tasks",
    lambda inputs: typed(_over(inputs)),
    _over_views,
    under="comparisons",
)
