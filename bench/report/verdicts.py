"""What latency cells say of the claim, in a few sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from bench.records.measurement import LatencyRecord
from bench.report import latency


def headline(records: Sequence[LatencyRecord]) -> Iterator[str]:
    """How often each limit holds, where the overhead is least and most, and which backend serves.

    Args:
        records: in the order of the table.
    """
    for limit in sorted({record.limit for record in records}):
        own = [record for record in records if record.limit == limit]
        counts = Counter(record.verdict or record.status for record in own)
        parts = ", ".join(f"{name} in {count}" for name, count in counts.most_common())
        yield (
            f"Overhead of retrieval against a limit of {100 * limit:g} %: of {len(own)} cells, "
            f"{parts}."
        )
    timed = [record for record in records if record.result is not None]
    yield from _backends(timed)
    ratios = [(r.result.ratio, r) for r in timed if r.result is not None]
    if not ratios:
        return
    least = min(ratios, key=lambda pair: pair[0].estimate)
    most = max(ratios, key=lambda pair: pair[0].estimate)
    yield (
        f"It lies between {latency.percent(least[0])} % ({least[1].cell.label}) and "
        f"{latency.percent(most[0])} % ({most[1].cell.label}) of the forward."
    )


def _backends(timed: Sequence[LatencyRecord]) -> Iterator[str]:
    """Per setting, the backend within the limit for the most bases, and among equals the cheapest.

    Only backends that were measured for every base of the setting are compared.
    """
    groups: dict[str, list[LatencyRecord]] = {}
    for record in timed:
        groups.setdefault(", ".join(latency.setting(record, timed)), []).append(record)
    for name, found in groups.items():
        bases = {record.cell.base for record in found}
        by_backend: dict[str, list[LatencyRecord]] = {}
        for record in found:
            by_backend.setdefault(record.cell.backend, []).append(record)
        whole = {b: own for b, own in by_backend.items() if {r.cell.base for r in own} == bases}
        if len(whole) < 2:
            continue
        best = min(whole, key=lambda b: (-_holding(whole[b]), _overhead(whole[b])))
        of = f"{_holding(whole[best])} of {len(bases)} knowledge bases"
        yield f"{name}: of {len(whole)} backends {best} serves best, within the limit for {of}."


def _holding(records: Sequence[LatencyRecord]) -> int:
    return len({record.cell.base for record in records if record.verdict == "holds"})


def _overhead(records: Sequence[LatencyRecord]) -> float:
    return sum(record.result.ratio.estimate for record in records if record.result is not None)
