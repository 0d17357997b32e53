"""What retrieval changes, and how near each index comes to exact search.

A row per method, index and test split, by the task's selection metric. Lists have one entry per
seed. ``k``, ``beta``, ``tau``: chosen on ``selected_on``; ``gain``: ``on`` minus ``off`` of the
same student; ``gain_held_out``: the same on the held-out split, flattering, as the choice was made
there; ``optimistic``: the score had the choice been made on a test split; ``selection_bias``: that
minus ``on``, where it was chosen on this split; ``recall``: against exact search at ``k_max``;
``agreement``: share of examples answered as with exact search; ``targets_met``: how many seeds'
search ``effort`` reached the recall ``target``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.records.results import HELD_OUT, Pairs
from bench.records.run import Record, RetrievalResult
from bench.report.frame import rows, typed
from bench.report.inputs import RunInputs
from bench.report.section import INDEX, METHOD, TASK, Column, Section, View
from bench.report.summary import Summary, each, points, summarise

if TYPE_CHECKING:
    from pandas import DataFrame


def _rows(inputs: RunInputs) -> DataFrame:
    return typed(
        _row(index, split, pairs)
        for (_, _, index), pairs in inputs.results.by_index.items()
        for split in pairs[0][0].tests
    )


def place(record: Record, index: str, split: str) -> dict[str, str]:
    """The fields that tell what a row of one index and split is of."""
    return {
        "task": record.task,
        "title": record.heading(split),
        "split": split,
        "metric": record.select_on,
        "method": record.method,
        "index": index,
    }


def _row(index: str, split: str, pairs: Pairs) -> dict[str, Any]:
    record, first = pairs[0]
    metric, results = record.select_on, [result for _, result in pairs]

    def over(value: Callable[[RetrievalResult], float | None]) -> Summary:
        return summarise(map(value, results))

    def gain(split: str) -> Summary:
        return over(lambda r: r.chosen.scores[split][metric] - r.off[split][metric])

    def biased(r: RetrievalResult) -> float | None:
        return bias(record, r) if r.optimistic.selected_on == split else None

    return {
        **place(record, index, split),
        "seeds": [record.seed for record, _ in pairs],
        "k": [r.chosen.k for r in results],
        "beta": [r.chosen.beta for r in results],
        "tau": [r.chosen.tau for r in results],
        "selected_on": each([r.chosen.selected_on for r in results]),
        "off": over(lambda r: r.off[split][metric]),
        "on": over(lambda r: r.chosen.scores[split][metric]),
        "gain": gain(split),
        "gain_held_out": gain(HELD_OUT),
        "optimistic": over(lambda r: r.optimistic.scores[split][metric]),
        "selection_bias": over(biased),
        "recall": over(lambda r: r.search.recall.get(split)),
        "agreement": over(lambda r: r.search.agreement.get(split)),
        "k_max": max(first.ks),
        "effort": [r.search.effort for r in results],
        "target": first.search.target,
        "targets_met": sum(r.search.target_met for r in results),
    }


def bias(record: Record, result: RetrievalResult) -> float:
    """On the split that the optimistic choice was made on."""
    split, metric = result.optimistic.selected_on, record.select_on
    return result.optimistic.scores[split][metric] - result.chosen.scores[split][metric]


signed = partial(points, sign=True)

COLUMNS = (
    *(TASK, METHOD, INDEX),
    *(Column(name, name, each) for name in ("k", "beta", "tau")),
    Column("off", "off", points),
    Column("on", "on", points),
    Column("gain", "gain", signed),
    Column("gain held-out", "gain_held_out", signed),
    Column("optimistic", "optimistic", points),
    Column("bias", "selection_bias", signed),
)


def _views(frame: DataFrame, _: RunInputs) -> Iterator[View]:
    """The chosen setting, the score without and with it, and how far the choice flatters."""
    if len(frame):
        yield View("Retrieval", COLUMNS, tuple(_notes(frame)))


def _notes(frame: DataFrame) -> Iterator[str]:
    yield (
        f"k, beta and tau were chosen on {', '.join(frame['selected_on'].unique())} (one value, "
        "or one per seed); off, on and gain are of the test split, by the task's selection "
        "metric, in points. gain = on - off of the same student."
    )
    yield (
        "optimistic: the score had the choice been made on the test split, as papers often do; "
        "bias = optimistic - on, the selection bias."
    )
    if any(0 in row.beta for row in rows(frame)):
        yield "beta = 0: the choice was not to use what is retrieved."


SECTION = Section("retrieval", "Retrieval", _rows, _views)
