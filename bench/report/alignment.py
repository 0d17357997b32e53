"""Alignment and retrieval, each without and with the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bench.records.run import Record, RetrievalResult
from bench.report.attribution import (
    REFERENCE,
    BySeed,
    change_of,
    loss_of,
    of_students,
    reference_of,
)
from bench.report.comparisons import marked
from bench.report.examples import Answer, Examples, alone, with_base
from bench.report.paired import Paired
from bench.report.results import Results
from bench.report.summary import Summary, nats, points, summarise
from bench.report.table import Table
from bench.stats.difference import LEVEL, RESAMPLES, Difference, holm

ALIGNED, PLAIN = "reaugkd", "kd"
"""The two methods that differ in the alignment term alone."""


@dataclass(frozen=True)
class Tested:
    """A difference with its interval over seeds and examples.

    Attributes:
        adjusted: p after Holm's correction over all such differences; None without a test.
    """

    difference: Difference
    adjusted: float | None


@dataclass(frozen=True)
class Corner:
    """A method without and with the reference knowledge base, or the difference of two methods.

    Attributes:
        off_tested, on_tested, gain_tested: of a difference of two methods, ``off``, ``on`` and
            ``gain`` with their intervals; None where per-example outputs cannot be used.
    """

    task: str
    title: str
    method: str
    off: Summary
    on: Summary
    gain: Summary
    loss_off: Summary
    loss_on: Summary
    n: int
    off_tested: Tested | None = None
    on_tested: Tested | None = None
    gain_tested: Tested | None = None


def corners(results: Results) -> list[Corner]:
    """Every method without and with retrieval, then what alignment adds to either."""
    records = {(r.task, r.method): r for r, _ in results.retrieved}
    references = {at: reference_of(found) for at, found in of_students(results).items()}
    rows = []
    for task in dict.fromkeys(task for task, _ in references):
        own = {method: found for (t, method), found in references.items() if t == task and found}
        rows += [_corner(records[task, method], method, found) for method, found in own.items()]
        if {ALIGNED, PLAIN} <= own.keys():
            rows.append(_difference(records[task, ALIGNED], own[ALIGNED], own[PLAIN]))
    return rows


Figures = Callable[[RetrievalResult], float]


def _figures(record: Record) -> dict[str, Figures]:
    metric, split = record.select_on, record.tests[0]
    return {
        "off": lambda r: r.off[split][metric],
        "on": lambda r: r.chosen.scores[split][metric],
        "gain": lambda r: r.chosen.scores[split][metric] - r.off[split][metric],
        "loss_off": lambda r: loss_of(r.off_loss[split]),
        "loss_on": lambda r: loss_of(r.chosen.loss[split]),
    }


def _corner(record: Record, method: str, found: BySeed) -> Corner:
    values = {
        name: summarise(figure(found[seed]) for seed in sorted(found))
        for name, figure in _figures(record).items()
    }
    return _made(record, method, values, len(found))


def _difference(record: Record, one: BySeed, other: BySeed) -> Corner:
    seeds = sorted(one.keys() & other.keys())
    values = {
        name: summarise(figure(one[seed]) - figure(other[seed]) for seed in seeds)
        for name, figure in _figures(record).items()
    }
    return _made(record, BETWEEN, values, len(seeds))


def _made(record: Record, method: str, values: dict[str, Summary], n: int) -> Corner:
    return Corner(
        task=record.task,
        title=record.title,
        method=method,
        off=values["off"],
        on=values["on"],
        gain=values["gain"],
        loss_off=values["loss_off"],
        loss_on=values["loss_on"],
        n=n,
    )


BETWEEN = f"{ALIGNED} - {PLAIN}"
"""Names the row of what alignment adds."""


def with_intervals(found: Sequence[Corner], results: Results, examples: Examples) -> list[Corner]:
    """``found`` with what alignment adds tested, paired on (seed, example) of the first test split.

    Holm's correction is over all tasks, without and with retrieval and their interaction.
    """
    tested = [
        _tested(results, examples, row.task) if row.method == BETWEEN else (None,) * 3
        for row in found
    ]
    flat = [one for row in tested for one in row]
    adjusted = holm([one.p if one else None for one in flat])
    pairs = zip(flat, adjusted, strict=True)
    each = iter([Tested(one, p) if one else None for one, p in pairs])
    return [
        replace(row, off_tested=next(each), on_tested=next(each), gain_tested=next(each))
        for row in found
    ]


def _tested(results: Results, examples: Examples, task: str) -> tuple[Difference | None, ...]:
    """What alignment adds without retrieval, with it, and to the gain of retrieval."""
    off: dict[str, dict[int, Answer]] = {ALIGNED: {}, PLAIN: {}}
    on: dict[str, dict[int, Answer]] = {ALIGNED: {}, PLAIN: {}}
    for record, training in results.trained:
        if record.task == task and record.method in off:
            off[record.method][record.seed] = alone(record, training)
    for record, result in results.retrieved:
        if record.task == task and record.method in on:
            planned = results.references[record.task, record.method, record.seed]
            if change_of(planned, result)[0] == REFERENCE:
                on[record.method][record.seed] = with_base(record, result)
    answers = [one for own in (*off.values(), *on.values()) for one in own.values()]
    record = answers[0].record
    paired = Paired(examples, answers, record.tests[0], record.select_on)
    return (
        paired.contrast((1, off[ALIGNED]), (-1, off[PLAIN])),
        paired.contrast((1, on[ALIGNED]), (-1, on[PLAIN])),
        paired.contrast((1, on[ALIGNED]), (-1, off[ALIGNED]), (-1, on[PLAIN]), (1, off[PLAIN])),
    )


def corner_table(found: Sequence[Corner]) -> Table:
    """Alignment and retrieval, each without and with the other."""
    rows = tuple(
        (
            row.title,
            row.method,
            _cell(row.off, row.off_tested, sign=row.method == BETWEEN),
            _cell(row.on, row.on_tested, sign=row.method == BETWEEN),
            _cell(row.gain, row.gain_tested, sign=True),
            nats(row.loss_off),
            nats(row.loss_on),
            str(row.n),
        )
        for row in found
    )
    figures = ("retrieval off", "retrieval on", "gain", "loss off", "loss on", "n")
    notes = [
        "Test split, the task's selection metric in points; k, beta and tau chosen on held-out; "
        "the reference knowledge base. loss: mean negative log-likelihood in nats (squared error "
        "for a regression).",
        f"{BETWEEN}: what alignment adds to students whose other settings are the same, "
        "without retrieval, with it, and to the gain of retrieval (the interaction).",
    ]
    tests = [_tests(row) for row in found]
    if count := sum(one.adjusted is not None for row in tests for one in row):
        notes.append(
            f"[ ]: 95 % interval over seeds and examples ({RESAMPLES:,} resamples of the "
            f"examples), not corrected. A star: p < {LEVEL:g} after Holm's correction for the "
            f"{count} tests of this table; any other difference may be chance."
        )
    return Table("Alignment and retrieval", ("task", "method", *figures), rows, 2, tuple(notes))


def _tests(row: Corner) -> list[Tested]:
    return [one for one in (row.off_tested, row.on_tested, row.gain_tested) if one]


def _cell(value: Summary, tested: Tested | None, *, sign: bool) -> str:
    if tested is None or tested.difference.seeds != value.n:
        return points(value, sign=sign)  # of other seeds than the figure, or not known
    return marked(tested.difference, tested.adjusted)
