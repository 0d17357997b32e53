"""Alignment and retrieval, each without and with the other.

A row per task and method with the reference knowledge base, over seeds, on the first test split:
``off`` and ``on`` by the task's selection metric, ``gain`` between them, ``loss_off`` and
``loss_on``. A last row of a task, ``reaugkd - kd``, is what alignment adds to each of them, of the
same seeds; ``off_tested``, ``on_tested`` and ``gain_tested`` are those with their intervals, and
``adjusted`` is p after Holm's correction over all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from pandas import DataFrame

from bench.report.frame import Row, rows, typed
from bench.report.inputs import RunInputs
from bench.report.scores import OFF
from bench.report.section import METHOD, TASK, Column, Section, View
from bench.report.sections import attribution
from bench.report.sections.attribution import STARRED, BySeed, Changed, answers_of, paired
from bench.report.summary import nats, points, summarise
from bench.report.verdict import marked
from bench.stats.difference import RESAMPLES, Difference, holm

ALIGNED, PLAIN = "reaugkd", "kd"
"""The two methods that differ in the alignment term alone."""

BETWEEN = f"{ALIGNED} - {PLAIN}"
"""Names the row of what alignment adds."""

FIGURES: dict[str, Callable[[Changed], float]] = {
    "off": lambda student: student.off,
    "on": lambda student: student.on,
    "gain": lambda student: student.on - student.off,
    "loss_off": lambda student: student.off_loss,
    "loss_on": lambda student: student.loss,
}
TESTED = ("off", "on", "gain")


def _rows(inputs: RunInputs) -> DataFrame:
    """Every method without and with retrieval, then what alignment adds to either."""
    students = attribution.changes(inputs.results)
    references = {at: attribution.reference_of(changed) for at, changed in students.items()}
    lines: list[dict[str, Any]] = []
    tests: list[tuple[dict[str, Any], str, Difference | None]] = []
    for task in dict.fromkeys(task for task, _ in references):
        of_task = {
            method: seeds for (t, method), seeds in references.items() if t == task and seeds
        }
        lines += [_row(method, seeds) for method, seeds in of_task.items()]
        if {ALIGNED, PLAIN} <= of_task.keys():
            lines.append(_row(BETWEEN, of_task[ALIGNED], of_task[PLAIN]))
            if attribution.worth(inputs.frame(attribution.SECTION)):
                differences = zip(TESTED, _tested(inputs, task, of_task), strict=True)
                tests += [(lines[-1], name, difference) for name, difference in differences]
    adjusted = holm([difference.p if difference else None for *_, difference in tests])
    for (line, name, difference), p in zip(tests, adjusted, strict=True):
        line[f"{name}_tested"] = {"difference": difference, "adjusted": p} if difference else None
    return typed(lines)


def _row(method: str, ours: BySeed, theirs: BySeed | None = None) -> dict[str, Any]:
    """A method's figures, or by how much they are above those of another."""
    record = next(iter(ours.values())).answer.record
    seeds = [seed for seed in ours if theirs is None or seed in theirs]
    return {
        "task": record.task,
        "title": record.title,
        "method": method,
        **{
            name: summarise(of(ours[s]) - (of(theirs[s]) if theirs else 0.0) for s in seeds)
            for name, of in FIGURES.items()
        },
        "n": len(seeds),
        **{f"{name}_tested": None for name in TESTED},
    }


def _tested(
    inputs: RunInputs, task: str, references: Mapping[str, BySeed]
) -> Sequence[Difference | None]:
    """What alignment adds without retrieval, with it, and to the gain of retrieval."""
    columns = inputs.examples.columns
    off, plain_off = (columns.get((task, method, OFF), {}) for method in (ALIGNED, PLAIN))
    on, plain_on = (answers_of(references[method]) for method in (ALIGNED, PLAIN))
    scored = paired(inputs, (off, plain_off, on, plain_on))
    return (
        scored.contrast((1, off), (-1, plain_off)),
        scored.contrast((1, on), (-1, plain_on)),
        scored.contrast((1, on), (-1, off), (-1, plain_on), (1, plain_off)),
    )


def _views(frame: DataFrame, inputs: RunInputs) -> Iterator[View]:
    if attribution.worth(inputs.frame(attribution.SECTION)):
        yield View("Alignment and retrieval", COLUMNS, tuple(_notes(rows(frame))))


def _cell(name: str, row: Row) -> str:
    value, tested = getattr(row, name), getattr(row, f"{name}_tested")
    if tested is None or tested.difference.seeds != value.n:  # of other seeds, or not known
        return points(value, sign=name == "gain" or row.method == BETWEEN)
    return marked(tested.difference, tested.adjusted)


def _notes(lines: Sequence[Row]) -> Iterator[str]:
    yield (
        "Test split, the task's selection metric in points; k, beta and tau chosen on held-out; "
        "the reference knowledge base. loss: mean negative log-likelihood in nats (squared error "
        "for a regression)."
    )
    yield (
        f"{BETWEEN}: what alignment adds to students whose other settings are the same, "
        "without retrieval, with it, and to the gain of retrieval (the interaction)."
    )
    tested = [getattr(line, f"{name}_tested") for line in lines for name in TESTED]
    if count := sum(outcome is not None and outcome.adjusted is not None for outcome in tested):
        yield (
            f"[ ]: 95 % interval over seeds and examples ({RESAMPLES:,} resamples of the "
            f"examples), not corrected. A star: {STARRED.format(count)}."
        )


COLUMNS = (
    TASK,
    METHOD,
    *(
        Column(title, lambda row: row, partial(_cell, name))
        for title, name in {"retrieval off": "off", "retrieval on": "on", "gain": "gain"}.items()
    ),
    Column("loss off", "loss_off", nats),
    Column("loss on", "loss_on", nats),
    Column("n", "n"),
)

SECTION = Section(
    "alignment",
    "Alignment and retrieval",
    _rows,
    _views,
    methods=lambda row: [ALIGNED, PLAIN] if row.method == BETWEEN else [row.method],
)
