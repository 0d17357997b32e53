"""What retrieval changes, how near each index comes to exact search, and what it costs.

``retrieval``: a row per method, index and test split, by the task's selection metric. Lists have
one entry per seed. ``k``, ``beta``, ``tau``: chosen on ``selected_on``; ``gain``: ``on`` minus
``off`` of the same student; ``gain_held_out``: the same on the held-out split, flattering, as the
choice was made there; ``optimistic``: the score had the choice been made on a test split;
``selection_bias``: that minus ``on``, where it was chosen on this split; ``recall``: against exact
search at ``k_max``; ``agreement``: share of examples answered as with exact search;
``targets_met``: how many seeds' search ``effort`` reached the recall ``target``.

``costs``: a row per task, method and index: medians over ``n`` seeds; seconds, bytes, and
microseconds per query. Data only: the table of indexes, ``ann``, shows them beside recall.

``selection-bias``: a row per method, behind ``index``, the first of the plan (several where tasks
differ). ``tasks``: those with a known score, each counts once; ``seeds``: how many a task has;
``mean``: over tasks, of the means over seeds; ``sd``: over seeds, of the mean over tasks, missing
unless every task has the same two or more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from operator import attrgetter
from typing import Any

from pandas import DataFrame

from bench.records.results import HELD_OUT, Pairs
from bench.records.run import Record, RetrievalResult
from bench.report.charts import tradeoff
from bench.report.frame import rows, typed
from bench.report.inputs import RunInputs
from bench.report.section import INDEX, METHOD, TASK, Column, Picture, Section, View
from bench.report.sections import scores
from bench.report.sections.plain import median, one_table
from bench.report.summary import Summary, each, number, points, size, summarise

signed = partial(points, sign=True)


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

    return {
        **place(record, index, split),
        "seeds": [record.seed for record, _ in pairs],
        **{name: [getattr(r.chosen, name) for r in results] for name in ("k", "beta", "tau")},
        "selected_on": each([r.chosen.selected_on for r in results]),
        "off": over(lambda r: r.off[split][metric]),
        "on": over(lambda r: r.chosen.scores[split][metric]),
        "gain": gain(split),
        "gain_held_out": gain(HELD_OUT),
        "optimistic": over(lambda r: r.optimistic.scores[split][metric]),
        "selection_bias": over(
            lambda r: _bias(record, r) if r.optimistic.selected_on == split else None
        ),
        "recall": over(lambda r: r.search.recall.get(split)),
        "agreement": over(lambda r: r.search.agreement.get(split)),
        "k_max": max(first.ks),
        "effort": [r.search.effort for r in results],
        "target": first.search.target,
        "targets_met": sum(r.search.target_met for r in results),
    }


def _bias(record: Record, result: RetrievalResult) -> float:
    """On the split that the optimistic choice was made on."""
    split, metric = result.optimistic.selected_on, record.select_on
    return result.optimistic.scores[split][metric] - result.chosen.scores[split][metric]


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


SEARCH = ("index_bytes", "build_seconds", "search_us_p50", "search_us_p95")
MEDIANS = {name: name for name in ("entries", "width", "kb_bytes")} | {
    name: f"search.{name}" for name in SEARCH
}
"""Figure -> where a result of retrieval has it."""


def _costs(inputs: RunInputs) -> Iterator[dict[str, Any]]:
    for (task, method, index), pairs in inputs.results.by_index.items():
        yield {
            "task": task,
            "title": pairs[0][0].title,
            "method": method,
            "index": index,
            "n": len(pairs),
            **{
                name: float(median(attrgetter(path)(result) for _, result in pairs) or 0)
                for name, path in MEDIANS.items()
            },
            "largest_k": max(max(result.ks) for _, result in pairs),
        }


AT = ["task", "method", "index"]
EXACTNESS = ("title", "split", "recall", "agreement", "effort", "target", "targets_met")


def _indexes(inputs: RunInputs) -> DataFrame:
    exact, cost = inputs.frame(SECTION), inputs.frame(COSTS)
    if not len(exact):
        return exact
    names = [name for name in exact if name in AT or name.partition(".")[0] in EXACTNESS]
    joined = exact[names].merge(cost.drop(columns="title"), how="left", on=AT)
    return joined.rename(columns={"largest_k": "k_max"})


def _index_views(frame: DataFrame, _: RunInputs) -> Iterator[View]:
    if not len(frame):
        return
    ks = ", ".join(map(str, sorted(frame["k_max"].unique())))
    targets = ", ".join(f"{100 * target:g} %" for target in sorted(frame["target"].unique()))
    columns = (
        *(TASK, METHOD, INDEX),
        Column(f"recall@{ks}", "recall", points),
        Column("agreement", "agreement", points),
        Column("effort", "effort", each),
        Column("target met", lambda row: f"{row.targets_met} of {row.n}"),
        Column("search µs p50", "search_us_p50", number),
        Column("search µs p95", "search_us_p95", number),
        Column("build s", "build_seconds", number),
        Column("index size", "index_bytes", size),
        Column("KB", lambda row: f"{row.entries:,.0f} x {row.width:.0f}"),
        Column("KB size", "kb_bytes", size),
    )
    notes = (
        "recall and agreement on the test split, in percent: of the exact neighbours, and of "
        "examples answered as with exact search. effort is the index's search setting, tuned on "
        f"held-out queries to a recall of {targets}; target met: by so many seeds.",
        f"search: k = {ks}, one query, one thread, index call only, in a hot loop; not the "
        "protocol of the 3 % claim, which counts everything that retrieval adds to a forward. "
        "Times and sizes are medians over seeds. KB: entries x width.",
    )
    yield View("Indexes", columns, notes)


def _pictures(_: DataFrame, inputs: RunInputs) -> Iterator[Picture]:
    frames = tradeoff.Frames(*map(inputs.frame, (SECTION, COSTS, scores.SECTION)))
    timed = [record for measured in inputs.beside for record in measured.latency]
    return tradeoff.pictures(frames, timed)


def _biases(inputs: RunInputs) -> DataFrame:
    results, lines = inputs.results, []
    for (task, method, index), pairs in results.by_index.items():
        biases = {record.seed: _bias(record, result) for record, result in pairs}
        if index == results.first_index(task, method) and all(map(math.isfinite, biases.values())):
            lines += [(method, task, index, seed, bias) for seed, bias in biases.items()]
    of_tasks = DataFrame(lines, columns=["method", "task", "index", "seed", "bias"])
    return typed(
        _bias_row(str(name), biases) for name, biases in of_tasks.groupby("method", sort=False)
    )


def _bias_row(method: str, biases: DataFrame) -> dict[str, Any]:
    table = biases.pivot_table("bias", "seed", "task", sort=False)
    same_seeds = len(table) > 1 and table.notna().all(axis=None)
    return {
        "method": method,
        "index": "; ".join(biases["index"].unique()),
        "tasks": [*table],
        "seeds": sorted(set(table.count())),
        "mean": table.mean().mean(),
        "sd": table.mean(axis=1).std() if same_seeds else None,
    }


BIAS_COLUMNS = (
    METHOD,
    INDEX,
    Column("bias", lambda row: Summary(row.mean, row.sd, max(row.seeds)), signed),
    Column("tasks", lambda row: len(row.tasks)),
    Column("n", "seeds", lambda seeds: ", ".join(map(str, seeds))),
)


def _bias_notes(frame: DataFrame) -> Iterator[str]:
    yield (
        "What choosing k, beta and tau on the test split instead of held-out would add to the "
        "score, in points, behind the first index of the plan: the mean over tasks of the mean "
        "over seeds, ± the sd over seeds of the mean over tasks. The scores of this report are "
        "without it; papers that choose on dev are with it."
    )
    if any(row.sd is None for row in rows(frame)):
        yield "No sd: one seed, or tasks with different seeds."


SECTION = Section("retrieval", "Retrieval", _rows, one_table("Retrieval", COLUMNS, _notes))
COSTS: Section[RunInputs] = Section(
    "costs", "Costs of retrieval", lambda inputs: typed(_costs(inputs))
)
INDEXES = Section("ann", "Indexes", _indexes, _index_views, pictures=_pictures)
SELECTION_BIAS = Section(
    "selection-bias",
    "Selection bias",
    _biases,
    one_table("Selection bias", BIAS_COLUMNS, _bias_notes),
    under="comparisons",
)
