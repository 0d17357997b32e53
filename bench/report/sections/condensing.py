"""Knowledge bases made cheaper beside the whole one: what they lose, and what they save.

A row per task, method, base and test split, over seeds; draws of one condenser are one row. ``on``:
the task's selection metric, of each seed the mean of its draws; ``lowest``, ``highest``: of the
draws, each over its seeds; ``off``: the student alone; ``difference``: ``on`` minus that of the
whole base of the same students, paired on (seed, example), in shares; ``verdict``: whether it is
non-inferior by ``margin``, in points; ``beta``: chosen, by draw and seed; ``flips``: share of the
answers that are others than with the whole base; ``loss``: mean negative log-likelihood (squared
error for a regression); ``loss_change``: that minus the whole base's. Medians: ``entries``;
``bytes`` of index, values and ids; ``of_whole``: that over the whole base's; ``made_seconds``: to
make base and index; ``search_us``, ``added_us``: one query in a hot loop, index call only, and all
that retrieval adds to a forward; with a rule of skipping that is the mean over both kinds of
queries by their shares, and ``asked_us`` the time of one that is searched. ``skipped``: share of
the queries that are not searched;
``asks_always``: whether no margin of the student was enough to skip any. ``front_bytes``,
``front_time``: whether no other base of the same student costs no more and scores no less.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from statistics import fmean
from typing import Any

import numpy as np
from pandas import DataFrame

from bench.records.run import RetrievalResult
from bench.records.store import Problem
from bench.report import pareto
from bench.report.charts import condensing as charts
from bench.report.cheaper import (
    ComparedBase,
    Draws,
    Pair,
    Place,
    added_us,
    answers_of,
    bytes_of,
    compared,
    whole_of,
)
from bench.report.examples import with_base
from bench.report.frame import Row, rows, typed
from bench.report.inputs import RunInputs
from bench.report.paired import Paired
from bench.report.section import METHOD, TASK, Column, Section, View
from bench.report.sections.plain import grouped, median
from bench.report.summary import each, nats, number, points, size
from bench.report.verdict import marked, non_inferiority
from bench.stats.difference import Difference
from reaugkd.retrieval.condense import FULL


def _made(result: RetrievalResult) -> float:
    return (result.condense_seconds or 0.0) + result.search.build_seconds


def _rows(inputs: RunInputs) -> DataFrame:
    lines: list[dict[str, Any]] = []
    places = grouped(
        (place.task, (place, bases)) for place, bases in compared(inputs.results).items()
    )
    for of_task in places.values():
        cells = [
            pair
            for _, bases in of_task
            for draws in bases.values()
            for by_seed in draws.values()
            for pair in by_seed.values()
        ]
        record = cells[0][0]
        for split in record.tests:
            answers = [with_base(*pair) for pair in cells]
            paired = Paired(inputs.examples, answers, split, record.select_on)
            for place, bases in of_task:
                lines += _of_place(inputs, place, bases, paired, split)
    return typed(lines)


def _of_place(
    inputs: RunInputs, place: Place, bases: dict[str, Draws], paired: Paired, split: str
) -> list[dict[str, Any]]:
    name = whole_of(inputs.results, place)
    whole = bases.get(name or "", {}).get(FULL, {})
    backend = next(iter(whole.values()))[1].backend if whole else None
    made = [ComparedBase(n, draws, whole, n == name, backend) for n, draws in bases.items()]
    lines = [_row(inputs, base, paired, split) for base in made]
    for front, cost in (("front_bytes", "bytes"), ("front_time", "added_us")):
        on_front = pareto.front([(line[cost], line["on"].mean) for line in lines])
        for line, stays in zip(lines, on_front, strict=True):
            line[front] = stays
    return lines


def _row(inputs: RunInputs, base: ComparedBase, paired: Paired, split: str) -> dict[str, Any]:
    record, result = base.pairs[0]
    metric, margin = record.select_on, inputs.results.margin(record.task)
    tested = None if base.is_whole else _difference(base, paired)
    by_draw = base.by_draw(lambda pair: pair[1].chosen.scores[split][metric])
    size_of_whole = median(bytes_of(whole) for _, whole in base.whole.values())
    total = base.median(bytes_of)
    return {
        "task": record.task,
        "title": record.heading(split),
        "split": split,
        "metric": metric,
        "method": record.method,
        "base": base.name,
        "kind": base.kind,
        "draws": len(base.draws),
        "seeds": sorted({record.seed for record, _ in base.pairs}),
        "off": base.by_seed(lambda pair: pair[1].off[split][metric]),
        "on": base.by_seed(lambda pair: pair[1].chosen.scores[split][metric]),
        "lowest": min(by_draw),
        "highest": max(by_draw),
        "beta": [result.chosen.beta for _, result in base.pairs],
        "difference": tested,
        "margin": margin,
        "verdict": None if base.is_whole else str(non_inferiority(tested, margin / 100)),
        "flips": None if base.is_whole else _flips(inputs, base, split),
        "loss": base.by_seed(partial(_loss, split=split)),
        "loss_change": None if base.is_whole else base.by_seed(partial(_change, base, split)),
        "entries": base.median(lambda r: r.entries),
        "width": result.width,
        "bytes": total,
        "of_whole": total / size_of_whole if total and size_of_whole else None,
        "made_seconds": base.median(_made),
        "search_us": base.median(lambda r: r.search.search_us_p50),
        "added_us": base.median(lambda r: added_us(r, split)),
        "asked_us": base.median(lambda r: r.skip.asked_us_p50 if r.skip else None),
        "skipped": base.by_seed(lambda pair: _skipped(pair[1], split)).mean,
        "asks_always": any(r.skip and r.skip.threshold is None for _, r in base.pairs),
    }


def _difference(base: ComparedBase, paired: Paired) -> Difference | None:
    """The mean of its draws minus the whole base, of the same seeds."""
    draws = [(1 / len(base.draws), answers_of(by_seed)) for by_seed in base.draws.values()]
    return paired.contrast(*draws, (-1, answers_of(base.whole)))


def _flips(inputs: RunInputs, base: ComparedBase, split: str) -> float | None:
    """The share of answers that are others than the whole base's, over draws and seeds."""
    shares = []
    for record, result in base.pairs:
        if record.regression or record.seed not in base.whole:
            continue
        pair = with_base(record, result), with_base(*base.whole[record.seed])
        one, other = (inputs.examples.answers(answer, split) for answer in pair)
        if not (isinstance(one, Problem) or isinstance(other, Problem)):
            shares.append(float(np.mean(one != other)))
    return fmean(shares) if shares else None


def _loss(pair: Pair, split: str) -> float:
    (loss,) = pair[1].chosen.loss[split].values()
    return loss


def _change(base: ComparedBase, split: str, pair: Pair) -> float | None:
    whole = base.whole.get(pair[0].seed)
    return None if whole is None else _loss(pair, split) - _loss(whole, split)


def _skipped(result: RetrievalResult, split: str) -> float | None:
    return result.skip.skipped[split] if result.skip else None


# --- tables --------------------------------------------------------------------------------------

BASE = Column("base", "base", label=True)


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _front(row: Row) -> str:
    return ", ".join(
        name for name, on in (("bytes", row.front_bytes), ("time", row.front_time)) if on
    )


def _range(row: Row) -> str | None:
    return f"{_percent(row.lowest)} to {_percent(row.highest)}" if row.draws > 1 else None


LOSES = (
    *(TASK, METHOD, BASE),
    Column("on", "on", points),
    Column("to whole", "difference", lambda difference: marked(difference, None)),
    Column("beta", "beta", lambda betas: each(sorted(set(betas)))),
    Column("verdict", lambda row: row.verdict or "the whole base"),
    Column("flips", "flips", _percent),
    Column("loss", "loss", nats),
    Column("bytes", "bytes", size),
    Column("added µs", "added_us", number),
    Column("front", _front),
)
COSTS = (
    *(TASK, METHOD, BASE),
    Column("entries", "entries", "{:,.0f}".format),
    Column("width", "width"),
    Column("bytes", "bytes", size),
    Column("of whole", "of_whole", lambda share: f"{100 * share:.3g} %"),
    Column("made in s", "made_seconds", number),
    Column("search µs", "search_us", number),
    Column("added µs", "added_us", number),
    Column("asked µs", "asked_us", number),
    Column("skipped", lambda row: _percent(row.skipped) if row.skipped is not None else None),
    Column("draws", "draws"),
    Column("range", _range),
    Column("n", lambda row: len(row.seeds)),
)


def _views(frame: DataFrame, _: RunInputs) -> Iterator[View]:
    if len(frame):
        yield View("Smaller knowledge bases", LOSES, tuple(_notes(frame)))
        yield View("Cost of smaller knowledge bases", COSTS, tuple(_cost_notes(frame)))


def _notes(frame: DataFrame) -> Iterator[str]:
    margins = ", ".join(f"{margin:g}" for margin in sorted(frame["margin"].unique()))
    yield (
        "Test split, in points: score with that base, k, beta and tau chosen on held-out for it; "
        "to whole: minus the score of the same student with the whole base, which the plan names "
        "first, with the 95 % interval over seeds and examples."
    )
    yield (
        f"verdict, by a margin of {margins} points that the plan states: non-inferior, if the "
        "whole interval lies above minus the margin; inferior, if it lies below; else undecided, "
        "as of one seed, which has no interval. Each base by itself: not corrected for their "
        "number."
    )
    yield (
        "flips: share of the answers that are others than with the whole base. loss: mean negative "
        "log-likelihood in nats (squared error for a regression). front: no other base of the "
        "student takes no more bytes (no more time) and scores no less."
    )
    if (frame["draws"] > 1).any():
        yield "Draws of one condenser are one row: the mean of its draws."
    if any(0 in row.beta for row in rows(frame)):
        yield (
            "beta: weight of what is retrieved, of every seed and draw; 0 is the choice not to use "
            "the base, so nothing is lost with it, nor gained."
        )


def _cost_notes(frame: DataFrame) -> Iterator[str]:
    yield (
        "bytes: the index with the keys in it, values and ids, by their own formulas. made in s: "
        "to reduce, condense and round the base and to build its index. Times of one query, one "
        "thread, in a hot loop: search, index call only; added, all that retrieval adds after the "
        "forward, under the chosen k. Medians over seeds and draws; what it adds to a real forward "
        "is measured by bench latency."
    )
    if frame["skipped"].notna().any():
        yield (
            "skipped: percent of the queries that the student answers alone, unsearched; added is "
            "then the mean, by that share, of a skipped query's time and asked, a searched one's."
        )
    if always := [row.base for row in rows(frame) if row.asks_always]:
        names = "; ".join(dict.fromkeys(always))
        yield f"Asks always, as no margin of the student is known to be enough: {names}."
    if (frame["draws"] > 1).any():
        yield "range: of the draws' scores, each the mean over its seeds."


SECTION = Section(
    "condensing",
    "Smaller knowledge bases",
    _rows,
    _views,
    pictures=lambda frame, _: charts.pictures(frame),
)
