"""The indexes of a run beside each other: how exact, how fast, how large."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.report.costs import Cost
from bench.report.effects import Effect
from bench.report.summary import Summary, each, number, points, size
from bench.report.table import Table


@dataclass(frozen=True)
class Index:
    """One index of one method on one test split, over n seeds; see ``Effect`` and ``Cost``."""

    task: str
    title: str
    split: str
    method: str
    index: str
    n: int
    k_max: int
    recall: Summary
    agreement: Summary
    effort: list[int | None]
    target: float
    targets_met: int
    search_us_p50: float
    search_us_p95: float
    build_seconds: float
    index_bytes: float
    entries: float
    width: float
    kb_bytes: float


def indexes(effects: Iterable[Effect], costs: Iterable[Cost]) -> list[Index]:
    """Both of one run joined: a row per task, test split, method and index."""
    by_index = {(cost.task, cost.method, cost.index): cost for cost in costs}
    return [_joined(one, by_index[one.task, one.method, one.index]) for one in effects]


def _joined(effect: Effect, cost: Cost) -> Index:
    return Index(
        task=effect.task,
        title=effect.title,
        split=effect.split,
        method=effect.method,
        index=effect.index,
        n=cost.n,
        k_max=cost.largest_k,
        recall=effect.recall,
        agreement=effect.agreement,
        effort=effect.effort,
        target=effect.target,
        targets_met=effect.targets_met,
        search_us_p50=cost.search_us_p50,
        search_us_p95=cost.search_us_p95,
        build_seconds=cost.build_seconds,
        index_bytes=cost.index_bytes,
        entries=cost.entries,
        width=cost.width,
        kb_bytes=cost.kb_bytes,
    )


def index_table(found: Sequence[Index]) -> Table:
    """The indexes, in units that can be read."""
    rows = tuple(
        (
            one.title,
            one.method,
            one.index,
            points(one.recall),
            points(one.agreement),
            each(one.effort),
            f"{one.targets_met} of {one.n}",
            number(one.search_us_p50),
            number(one.search_us_p95),
            number(one.build_seconds),
            size(one.index_bytes),
            f"{one.entries:,.0f} x {one.width:.0f}",
            size(one.kb_bytes),
        )
        for one in found
    )
    ks = ", ".join(map(str, sorted({one.k_max for one in found})))
    targets = ", ".join(f"{100 * target:g} %" for target in sorted({one.target for one in found}))
    labels = ("task", "method", "index")
    exact = (f"recall@{ks}", "agreement", "effort", "target met")
    search = ("search µs p50", "search µs p95", "build s", "index size", "KB", "KB size")
    notes = (
        "recall and agreement on the test split, in percent: of the exact neighbours, and of "
        "examples answered as with exact search. effort is the index's search setting, tuned on "
        f"held-out queries to a recall of {targets}; target met: by so many seeds.",
        f"search: k = {ks}, one query, one thread, index call only, in a hot loop; not the "
        "protocol of the 3 % claim, which counts everything that retrieval adds to a forward. "
        "Times and sizes are medians over seeds. KB: entries x width.",
    )
    return Table("Indexes", (*labels, *exact, *search), rows, len(labels), notes)
