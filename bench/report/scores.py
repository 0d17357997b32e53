"""What everyone scored: majority class, teacher, every method without and with retrieval."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.records.run import Record, Scores
from bench.report.results import HELD_OUT, Results
from bench.report.summary import Summary, points, summarise
from bench.report.table import EMPTY, Table

MAJORITY, TEACHER, OFF, ON = "majority class", "teacher", "off", "on"
CONTROLS = (MAJORITY, TEACHER)


@dataclass(frozen=True)
class Score:
    """One metric of one row on one split, over seeds (the teacher's: over distinct teachers).

    Attributes:
        retrieval: the index, ``off``, or empty for the majority class and the teacher.
        split: ``held_out`` or a test split.
        test: whether ``split`` is one that is reported, not chosen on.
        selects: whether the task chooses by this metric.
        header: how a column of test scores is headed.
    """

    method: str
    retrieval: str
    task: str
    split: str
    test: bool
    metric: str
    selects: bool
    header: str
    value: Summary


def scores(results: Results) -> list[Score]:
    """All scores; rows in the order of the table, within a row in the order of the plan."""
    values: dict[tuple[str, str, str, str, str], list[float]] = {}
    tasks: dict[str, Record] = {}

    def add(method: str, retrieval: str, record: Record, found: Mapping[str, Scores]) -> None:
        tasks.setdefault(record.task, record)
        for split in (*record.tests, HELD_OUT):
            for metric in record.metrics:
                if metric in found.get(split, {}):
                    at = (method, retrieval, record.task, split, metric)
                    values.setdefault(at, []).append(found[split][metric])

    seen: set[str] = set()
    for record, training in results.trained:
        if (known := f"{record.task} {training.majority}") not in seen:
            seen.add(known)
            add(MAJORITY, "", record, training.majority)
    for record, training in results.trained:
        if training.teacher and training.teacher.key not in seen:
            seen.add(training.teacher.key)
            add(TEACHER, "", record, training.teacher.scores)
    for method in dict.fromkeys(cell.plan.method for cell in results.cells):
        for record, training in results.trained:
            if record.method == method:
                add(method, OFF, record, training.scores)
        for (_, name, index), pairs in results.by_index.items():
            if name == method:
                for record, retrieval in pairs:
                    add(method, index, record, retrieval.chosen.scores)

    def score(method: str, retrieval: str, task: str, split: str, metric: str) -> Score:
        record = tasks[task]
        return Score(
            method=method,
            retrieval=retrieval,
            task=task,
            split=split,
            test=split != HELD_OUT,
            metric=metric,
            selects=metric == record.select_on,
            header=record.heading(split, metric),
            value=summarise(values[method, retrieval, task, split, metric]),
        )

    return [score(*at) for at in values]


def headline(found: list[Score]) -> Table:
    """Test scores by the metric that each task chooses by."""
    return _pivot("Scores", found, lambda score: score.test and score.selects)


def all_metrics(found: list[Score]) -> Table | None:
    """Test scores by every metric, or None where the headline has them all."""
    if all(score.selects for score in found):
        return None
    return _pivot("All metrics", found, lambda score: score.test)


def _pivot(title: str, found: list[Score], wanted: Callable[[Score], bool]) -> Table:
    shown = [score for score in found if wanted(score)]
    columns = tuple(dict.fromkeys(score.header for score in shown))
    rows: dict[tuple[str, str], dict[str, Summary]] = {}
    for score in shown:
        rows.setdefault((score.method, score.retrieval), {})[score.header] = score.value
    cells = tuple(
        (method, retrieval or EMPTY, *(_cell(row.get(column)) for column in columns))
        for (method, retrieval), row in rows.items()
    )
    notes = _notes([score.value.n for score in shown if score.method not in (MAJORITY, TEACHER)])
    return Table(title, ("method", "retrieval", *columns), cells, labels=2, notes=notes)


def _cell(value: Summary | None) -> str:
    return f"{points(value)} ({value.n})" if value else EMPTY


def _notes(seeds: list[int]) -> tuple[str, ...]:
    if not seeds:
        return ("No student has finished.",)
    notes = ["Test split, in percent: mean ± sd (n), n seeds; the teacher's n counts teachers."]
    if min(seeds) == 1:
        notes.append(
            "One seed has no standard deviation: a difference between two rows may be chance."
        )
    if len(set(seeds)) > 1:
        notes.append("n differs between rows: see the status of cells.")
    return tuple(notes)
