"""Every method on every test split, retrieval off and on; averages over shared tasks.

A row per method and test split, by the task's selection metric. ``off``: the method alone; of the
majority class and the teacher, what they are. ``on``: behind ``index``, the first of the plan and
not the best (to choose one by its test score would be a leak), nor the first that finished (which
one stands for retrieval must not depend on failures). ``seeds``: how many the scores of a method
are means of. ``average`` and ``rank`` (mean place among all methods, off and on; 1 is best) are
over the tasks that all methods have, and missing where these are fewer than two.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from bench.report.charts import scores as charts
from bench.report.frame import Row, rows, typed
from bench.report.inputs import RunInputs
from bench.report.scores import CONTROLS, OFF, ON
from bench.report.section import METHOD, Column, Section, View
from bench.report.sections import scores
from bench.report.summary import points

if TYPE_CHECKING:
    from pandas import DataFrame

ONE_SEED = "One seed has no standard deviation: a difference between two scores may be chance."
STATES = (OFF, ON)


def _rows(inputs: RunInputs) -> DataFrame:
    """The methods in the order of the scores."""
    first = inputs.results.first_index
    offs: dict[tuple[str, str, str], Row] = {}
    ons: dict[tuple[str, str, str], Row] = {}
    for score in rows(inputs.frame(scores.SECTION)):
        at = (score.method, score.task, score.split)
        if score.test and score.selects:
            if score.retrieval == OFF or score.method in CONTROLS:
                offs[at] = score
            elif score.retrieval == first(score.task, score.method):
                ons[at] = score
    made: list[dict[str, Any]] = []
    for at in dict.fromkeys((*offs, *ons)):
        off, on = offs.get(at), ons.get(at)
        either = off or on
        assert either is not None  # both dictionaries' keys were gone through
        made.append(
            {name: getattr(either, name) for name in ("task", "header", "split", "metric")}
            | {"method": either.method, "index": first(either.task, either.method)}
            | {OFF: vars(off.value) if off else None, ON: vars(on.value) if on else None}
        )
    return _with_averages(typed(made))


def _with_averages(pairs: DataFrame) -> DataFrame:
    if not len(pairs):
        return pairs
    table, scored, methods = means(pairs), systems(pairs), pairs["method"]
    whole = table[shared(table)]
    if whole.shape[1] < 2:
        whole = whole.iloc[:0]
    figures = {
        "average": whole.mean(axis=1),
        "rank": whole.rank(ascending=False).mean(axis=1),
    }
    averages = {
        f"{name}.{state}": [values.get((method, state)) for method in methods]
        for name, values in figures.items()
        for state in STATES
    }
    counts = {name: sorted(own.unique().tolist()) for name, own in scored.groupby("method")["n"]}
    return pairs.assign(**averages, seeds=[counts.get(method) for method in methods])


def systems(pairs: DataFrame) -> DataFrame:
    """A row per pair and ``state`` (off, on) of a method, with ``mean`` and ``n`` of its score."""
    import pandas

    students = pairs[~pairs["method"].isin(CONTROLS)]

    def figure(name: str, dtype: str) -> Any:  # there is no such column where nobody has one
        return pandas.Series(students.get(name), students.index, dtype)

    both = pandas.concat(
        students[["method", "task", "split"]].assign(
            state=state, mean=figure(f"{state}.mean", "Float64"), n=figure(f"{state}.n", "Int64")
        )
        for state in STATES
    )
    return both[both["n"].notna()].sort_index(kind="stable")


def means(pairs: DataFrame) -> DataFrame:
    """The mean score of every (method, off or on) [rows] on every task [columns].

    A task's test splits are averaged. NaN where one has no score; who has no task is left out.
    """
    import pandas

    if not len(pairs):
        return pandas.DataFrame()
    scored = systems(pairs).astype({"mean": float})
    table = scored.pivot_table(
        "mean", ["method", "state"], "task", aggfunc=lambda own: own.mean(skipna=False), sort=False
    )
    return table.reindex(columns=pairs["task"].drop_duplicates())


def shared(table: DataFrame) -> list[str]:
    """Tasks that every row of :func:`means` has."""
    return [str(task) for task in table if table[task].notna().all()]


def _views(frame: DataFrame, _: RunInputs) -> Iterator[View]:
    """Method x task with paired columns, then average and rank where they can be had."""
    pairs = rows(frame)
    if not any(pair.on for pair in pairs):
        return
    yield View("Retrieval off and on", _columns(frame), tuple(_notes(frame)), by=("method",))


def _columns(frame: DataFrame) -> tuple[Column, ...]:
    scored = (
        Column(f"{header} {state}", state, points, at=("header", header))
        for header in frame["header"].drop_duplicates()
        for state in STATES
    )
    averages = [Column(f"average {state}", f"average.{state}", percent) for state in STATES]
    ranks = [Column(f"rank {state}", f"rank.{state}", "{:.2f}".format) for state in STATES]
    overall = (*averages, *ranks) if any(row.average for row in rows(frame)) else ()
    return (METHOD, *scored, *overall, Column("seeds", "seeds", counts))


def percent(share: float) -> str:
    """A share in points."""
    return f"{100 * share:.2f}"


def counts(numbers: list[int]) -> str:
    """Distinct numbers, e.g. of seeds."""
    return ", ".join(map(str, numbers))


def _notes(frame: DataFrame) -> Iterator[str]:
    pairs = rows(frame)
    behind: dict[str, dict[str, None]] = {}
    for pair in pairs:
        if pair.index is not None:
            behind.setdefault(pair.index, {})[pair.method] = None
    indexes = "; ".join(
        index if len(behind) == 1 else f"{index} for {', '.join(methods)}"
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
        task: [f"{method} {state}" for method, state in table.index[table[task].isna()]]
        for task in table
        if task not in common
    }
    left_out = "; ".join(f"{task} ({', '.join(who)})" for task, who in missing.items())
    if len(common) < 2:
        yield f"No average: fewer than two tasks have a score of all. Missing: {left_out}."
        return
    note = (
        f"average and rank are over the tasks that all methods have, off and on: "
        f"{', '.join(common)}. rank: mean place among all of them, 1 is best, ties share a place."
    )
    splits = frame[frame["task"].isin(common)][["task", "split"]].drop_duplicates()
    if len(common) < len(splits):
        note += " A task with two test splits counts once."
    yield note
    if left_out:
        yield f"Left out, for want of a score of: {left_out}."


SECTION = Section(
    "off-on", "Retrieval off and on", _rows, _views, pictures=lambda frame, _: charts.off_on(frame)
)
