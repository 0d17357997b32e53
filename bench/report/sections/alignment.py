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
from typing import TYPE_CHECKING, Any

from bench.report.frame import Row, rows, typed
from bench.report.inputs import RunInputs
from bench.report.paired import Paired
from bench.report.scores import OFF
from bench.report.section import METHOD, TASK, Column, Section, View
from bench.report.sections import attribution
from bench.report.sections.attribution import BySeed, Changed, answers_of, loss_of, reference_of
from bench.report.summary import nats, points, summarise
from bench.report.verdict import marked
from bench.stats.difference import LEVEL, RESAMPLES, Difference, holm

if TYPE_CHECKING:
    from pandas import DataFrame

ALIGNED, PLAIN = "reaugkd", "kd"
"""The two methods that differ in the alignment term alone."""

BETWEEN = f"{ALIGNED} - {PLAIN}"
"""Names the row of what alignment adds."""

TESTED = ("off", "on", "gain")


def _rows(inputs: RunInputs) -> DataFrame:
    """Every method without and with retrieval, then what alignment adds to either."""
    students = attribution.changes(inputs.results)
    references = {at: reference_of(changed) for at, changed in students.items()}
    lines: list[dict[str, Any]] = []
    for task in dict.fromkeys(task for task, _ in references):
        own = {method: seeds for (t, method), seeds in references.items() if t == task and seeds}
        lines += [_row(method, seeds) for method, seeds in own.items()]
        if {ALIGNED, PLAIN} <= own.keys():
            lines.append(_row(BETWEEN, own[ALIGNED], own[PLAIN]))
    tested: list[Difference | None] = [None] * (len(TESTED) * len(lines))
    if attribution.worth(inputs.frame(attribution.SECTION)):
        tested = [one for line in lines for one in _tested(inputs, line, references)]
    adjusted = holm([one.p if one else None for one in tested])
    pairs = iter(zip(tested, adjusted, strict=True))
    for line in lines:
        for name in TESTED:
            one, p = next(pairs)
            line[f"{name}_tested"] = {"difference": one, "adjusted": p} if one else None
    return typed(lines)


def _row(method: str, ones: BySeed, others: BySeed | None = None) -> dict[str, Any]:
    """A method's figures, or by how much they are above those of another."""
    record = next(iter(ones.values())).answer.record
    metric, split = record.select_on, record.tests[0]
    figures: dict[str, Callable[[Changed], float]] = {
        "off": lambda one: one.off[split][metric],
        "on": lambda one: one.answer.scores[split][metric],
        "gain": lambda one: one.gain(split, metric),
        "loss_off": lambda one: loss_of(one.off_loss[split]),
        "loss_on": lambda one: loss_of(one.loss[split]),
    }
    seeds = [seed for seed in ones if others is None or seed in others]
    return {
        "task": record.task,
        "title": record.title,
        "method": method,
        **{
            name: summarise(of(ones[s]) - (of(others[s]) if others else 0.0) for s in seeds)
            for name, of in figures.items()
        },
        "n": len(seeds),
    }


def _tested(
    inputs: RunInputs, line: Mapping[str, Any], references: Mapping[tuple[str, str], BySeed]
) -> Sequence[Difference | None]:
    """What alignment adds without retrieval, with it, and to the gain of retrieval."""
    if line["method"] != BETWEEN:
        return [None] * len(TESTED)
    task, methods = line["task"], (ALIGNED, PLAIN)
    off, plain_off = (inputs.examples.columns.get((task, one, OFF), {}) for one in methods)
    on, plain_on = (answers_of(references[task, one]) for one in methods)
    answers = [one for own in (off, plain_off, on, plain_on) for one in own.values()]
    record = answers[0].record
    paired = Paired(inputs.examples, answers, record.tests[0], record.select_on)
    return (
        paired.contrast((1, off), (-1, plain_off)),
        paired.contrast((1, on), (-1, plain_on)),
        paired.contrast((1, on), (-1, off), (-1, plain_on), (1, plain_off)),
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
    if count := sum(one is not None and one.adjusted is not None for one in tested):
        yield (
            f"[ ]: 95 % interval over seeds and examples ({RESAMPLES:,} resamples of the "
            f"examples), not corrected. A star: p < {LEVEL:g} after Holm's correction for the "
            f"{count} tests of this table; any other difference may be chance."
        )


COLUMNS = (
    TASK,
    METHOD,
    Column("retrieval off", lambda row: row, partial(_cell, "off")),
    Column("retrieval on", lambda row: row, partial(_cell, "on")),
    Column("gain", lambda row: row, partial(_cell, "gain")),
    Column("loss off", "loss_off", nats),
    Column("loss on", "loss_on", nats),
    Column("n", "n"),
)


def _methods(row: Row) -> list[str]:
    return [ALIGNED, PLAIN] if row.method == BETWEEN else [row.method]


SECTION = Section("alignment", "Alignment and retrieval", _rows, _views, methods=_methods)
