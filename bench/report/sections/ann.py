"""Indexes of a run beside each other: how exact, how fast, how large.

A row per task, test split, method and index over ``n`` seeds, with the fields of ``retrieval`` and
of ``costs``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.report.charts import tradeoff
from bench.report.inputs import RunInputs
from bench.report.section import INDEX, METHOD, TASK, Column, Picture, Section, View
from bench.report.sections import costs, retrieval, scores
from bench.report.summary import each, number, points, size

if TYPE_CHECKING:
    from pandas import DataFrame

AT = ["task", "method", "index"]
EXACTNESS = ("title", "split", "recall", "agreement", "effort", "target", "targets_met")


def _rows(inputs: RunInputs) -> DataFrame:
    exact, cost = inputs.frame(retrieval.SECTION), inputs.frame(costs.SECTION)
    if not len(exact):
        return exact
    names = [name for name in exact if name in AT or name.partition(".")[0] in EXACTNESS]
    joined = exact[names].merge(cost.drop(columns="title"), how="left", on=AT)
    return joined.rename(columns={"largest_k": "k_max"})


def _views(frame: DataFrame, _: RunInputs) -> Iterator[View]:
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


def _pictures(frame: DataFrame, inputs: RunInputs) -> Iterator[Picture]:
    frames = tradeoff.Frames(*map(inputs.frame, (retrieval.SECTION, costs.SECTION, scores.SECTION)))
    timed = [record for measured in inputs.beside for record in measured.latency]
    return tradeoff.pictures(frames, timed)


SECTION = Section("ann", "Indexes", _rows, _views, pictures=_pictures)
