"""Alignment and retrieval, each without and with the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.record import Record, RetrievalResult
from bench.report.attribution import BySeed, loss_of, of_students, reference_of
from bench.report.results import Results
from bench.report.summary import Summary, nats, points, summarise
from bench.report.table import Table

ALIGNED, PLAIN = "reaugkd", "kd"
"""The two methods that differ in the alignment term alone."""


@dataclass(frozen=True)
class Corner:
    """A method without and with the reference knowledge base, or the difference of two methods."""

    task: str
    title: str
    method: str
    off: Summary
    on: Summary
    gain: Summary
    loss_off: Summary
    loss_on: Summary
    n: int


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
    return Corner(record.task, record.title, method, n=len(found), **values)


def _difference(record: Record, one: BySeed, other: BySeed) -> Corner:
    seeds = sorted(one.keys() & other.keys())
    values = {
        name: summarise(figure(one[seed]) - figure(other[seed]) for seed in seeds)
        for name, figure in _figures(record).items()
    }
    return Corner(record.task, record.title, f"{ALIGNED} - {PLAIN}", n=len(seeds), **values)


def corner_table(found: list[Corner]) -> Table:
    """Alignment and retrieval, each without and with the other."""
    rows = tuple(
        (
            row.title,
            row.method,
            points(row.off, sign=" - " in row.method),
            points(row.on, sign=" - " in row.method),
            points(row.gain, sign=True),
            nats(row.loss_off),
            nats(row.loss_on),
            str(row.n),
        )
        for row in found
    )
    figures = ("retrieval off", "retrieval on", "gain", "loss off", "loss on", "n")
    notes = (
        "Test split, the task's selection metric in points; k, beta and tau chosen on held-out; "
        "the reference knowledge base. loss: mean negative log-likelihood in nats (squared error "
        "for a regression).",
        f"{ALIGNED} - {PLAIN}: what alignment adds to students whose other settings are the same, "
        "without retrieval, with it, and to the gain of retrieval (the interaction).",
    )
    return Table("Alignment and retrieval", ("task", "method", *figures), rows, 2, notes)
