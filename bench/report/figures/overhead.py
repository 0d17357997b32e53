"""The overhead of retrieval against the size of the knowledge base, with the limit of the claim."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

from bench.report.figure import Axis, Figure, Panel, Rule, Series
from bench.report.frame import Row
from bench.report.sections import latency


def overhead(records: Sequence[Row]) -> Figure | None:
    """A panel per batch and precision, a line per backend, the limit and the noise floor."""
    found = [record for record in records if record.result is not None]
    groups: dict[str, list[Row]] = {}
    for record in found:
        groups.setdefault(record.setting, []).append(record)
    if not groups:
        return None
    panels = tuple(_panel(name, group) for name, group in groups.items())
    notes = [
        "Overhead: what retrieval adds / the student's forward of the same batch, with its 95 % "
        "bootstrap interval over processes and inputs.",
        "Noise floor: of forward against forward, the larger end of its interval (median of the "
        "cells). A difference of two end-to-end times below it could not be seen; the overhead is "
        "a direct ratio within one loop and can be.",
    ]
    missing = len(records) - len(found)
    notes += [latency.GENERATED] if any(record.cell.generated for record in found) else []
    notes += [f"Cells without figures, not drawn: {missing}."] if missing else []
    return Figure(
        name="overhead",
        title="Overhead of retrieval against the size of the knowledge base",
        alt=" ".join(_told(name, group) for name, group in groups.items()),
        panels=panels,
        notes=tuple(notes),
    )


def _panel(name: str, records: Sequence[Row]) -> Panel:
    backends = dict.fromkeys(record.cell.backend for record in records)
    by_backend = [[r for r in records if r.cell.backend == one] for one in backends]
    limits = sorted({record.limit for record in records})
    rules = [Rule(f"limit {100 * limit:g} %", 100 * limit) for limit in limits]
    floor = noise_floor(records)
    rules.append(Rule(f"noise floor {floor:.2g} %", floor))
    series = tuple(map(_series, by_backend))
    x, y = Axis("entries of the knowledge base", log=True), Axis("overhead, % of forward", log=True)
    return Panel(name, x, y, series, tuple(rules))


def noise_floor(records: Sequence[Row]) -> float:
    """Percent: the median over cells of the end of the A/A interval that is further from zero."""
    return 100 * float(
        statistics.median(
            max(abs(result.noise.low), abs(result.noise.high)) for result in map(_result, records)
        )
    )


def _series(records: Sequence[Row]) -> Series:
    ratios = [_result(record).ratio for record in records]
    return Series(
        label=records[0].cell.backend,
        x=tuple(record.cell.size for record in records),
        y=tuple(100 * ratio.estimate for ratio in ratios),
        low=tuple(100 * ratio.low for ratio in ratios),
        high=tuple(100 * ratio.high for ratio in ratios),
        texts=tuple(map(_text, records)),
    )


def _text(record: Row) -> str:
    result = _result(record)
    return (
        f"{record.cell.base} ({record.cell.size:,}), {latency.backend(record)}: "
        f"{_percent(result.ratio)}, {record.verdict or record.status}; {result.added.p50:.3f} ms "
        f"on a forward of {result.forward.p50:.1f} ms"
    )


def _percent(ratio: Any) -> str:
    return latency.percent(ratio).replace(" [", " % [", 1)


def _result(record: Row) -> Row:
    result: Row = record.result  # only such records are shown
    return result


def _told(name: str, records: Sequence[Row]) -> str:
    counts = Counter(record.verdict or record.status for record in records)
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    largest = max(record.cell.size for record in records)
    there = [record for record in records if record.cell.size == largest]
    low, high = (
        pick(there, key=lambda record: _result(record).ratio.estimate) for pick in (min, max)
    )
    told = f"{name}, {len(records)} cells: {verdicts}"
    told += f"; at {largest:,} entries {low.cell.backend} adds {_percent(_result(low).ratio)}"
    if high is not low:
        told += f" and {high.cell.backend} {_percent(_result(high).ratio)}"
    return f"{told}; noise floor {noise_floor(records):.2g} %."
