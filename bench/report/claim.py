"""What latency cells say of the claim, in a few sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.report.frame import rows
from bench.report.sections.latency import percent, verdict

if TYPE_CHECKING:
    from pandas import DataFrame

RATIO = "result.ratio.estimate"


def headline(frame: DataFrame) -> Iterator[str]:
    """How often each limit holds, which backend serves, where the overhead is least and most.

    Args:
        frame: of the section of latency.
    """
    lines = rows(frame)
    for limit in sorted({row.limit for row in lines}):
        counts = Counter(verdict(row) for row in lines if row.limit == limit)
        parts = ", ".join(f"{name} in {count}" for name, count in counts.most_common())
        yield (
            f"Overhead of retrieval against a limit of {100 * limit:g} %: of {counts.total()} "
            f"cells, {parts}."
        )
    if RATIO in frame:
        timed = frame[frame[RATIO].notna()]
        yield from _backends(timed)
        least, most = rows(timed.loc[[timed[RATIO].idxmin(), timed[RATIO].idxmax()]])
        yield (
            f"It lies between {percent(least.result.ratio)} % ({least.label}) and "
            f"{percent(most.result.ratio)} % ({most.label}) of the forward."
        )


def _backends(timed: DataFrame) -> Iterator[str]:
    """Per setting, the backend within the limit for the most bases, and among equals the cheapest.

    Only backends that were measured for every base of the setting are compared.
    """
    for setting, group in timed.groupby("setting", sort=False):
        holding = group["cell.base"].where(group["verdict"] == "holds")
        by_backend = group.assign(holding=holding).groupby("cell.backend", sort=False)
        backends = by_backend.agg(
            bases=("cell.base", "nunique"), holding=("holding", "nunique"), overhead=(RATIO, "sum")
        )
        bases = group["cell.base"].nunique()
        whole = backends[backends["bases"] == bases]
        if len(whole) < 2:
            continue
        ordered = whole.sort_values(["holding", "overhead"], ascending=[False, True], kind="stable")
        of = f"{ordered['holding'].iloc[0]} of {bases} knowledge bases"
        yield (
            f"{setting}: of {len(whole)} backends {ordered.index[0]} serves best, within the limit "
            f"for {of}."
        )
