"""Latency of retrieval: one row per cell, and the overheads of all backends side by side."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from bench.records.measurement import Interval, LatencyRecord, Times
from bench.report.table import EMPTY, Table

TITLE = "Latency of retrieval"
MARKS = {"holds": "✓", "fails": "✗", "undecided": "?"}

PROTOCOL = (
    "Protocol 1: fresh processes per cell, each on its own cores; every batch is run plain and "
    "with retrieval, in alternating order, and what is added is timed right after its own forward."
)
NOTES = (
    PROTOCOL,
    "forward, added: milliseconds per batch of the student's forward, and of everything retrieval "
    "adds after it (search, gathering, mixing, conversions): median, p95 and p99.",
    "overhead: added / forward of the same batch, mean over processes of their medians over "
    "inputs, with a 95 % bootstrap interval over processes and inputs; the verdict is on it: "
    "holds if its upper end is at most the limit, fails if its lower end is above, else undecided.",
    "end to end: (forward + added) / plain forward - 1, interleaved; a cross-check that does not "
    "decide. noise: forward / plain forward - 1, which would be 0 on a silent machine.",
    "recall, agreement: of the neighbours and of the final class with exact retrieval, on queries "
    "that the search effort was not tuned on; effort: the backend's own knob, tuned to the target.",
    "build: seconds of the index, on the cores it was built with.",
)
GENERATED = (
    "Bases marked * are generated with the structure of a teacher's embeddings (class clusters, a "
    "spread of low rank, duplicates), in the size of the task's train set."
)

_COLUMNS = (
    "base",
    "backend",
    "precision",
    "lengths",
    "student",
    "verdict",
    "k",
    "batch",
    "threads",
    "forward ms",
    "forward p95",
    "forward p99",
    "added ms",
    "added p95",
    "added p99",
    "overhead %",
    "limit %",
    "end to end %",
    "noise %",
    "recall",
    "agreement",
    "effort",
    "build s",
)
_LABELS = 6


def table(records: Sequence[LatencyRecord]) -> Table:
    """One row per cell, the smallest base first; a cell without figures says why below."""
    found = ordered(records)
    rows = tuple(_row(record) for record in found)
    notes = [*NOTES] if rows else []
    notes += [GENERATED] if any(record.cell.generated for record in found) else []
    missed = [r for r in found if r.index and not r.index.target_met]
    notes += [f"{r.cell.label}: full effort missed {r.index.target}" for r in missed if r.index]
    notes += [f"{r.cell.label}: {r.status}, {r.reason}" for r in found if r.result is None]
    return Table(TITLE, _COLUMNS, rows, _LABELS, tuple(notes))


def matrices(records: Sequence[LatencyRecord]) -> list[Table]:
    """Base x backend, one table per batch, precision and whatever else varies."""
    found = ordered(records)
    groups: dict[tuple[str, ...], list[LatencyRecord]] = {}
    for record in found:
        groups.setdefault(setting(record, found), []).append(record)
    return [_matrix(", ".join(name), group) for name, group in groups.items()]


def as_csv(records: Sequence[LatencyRecord]) -> str:
    """Every cell in full precision; nothing where there is no figure."""
    rows = [_flat(record) for record in ordered(records)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names or ["key"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def ordered(records: Sequence[LatencyRecord]) -> list[LatencyRecord]:
    """By size of the base, batch, precision, backend and the rest; exact first."""

    def place(record: LatencyRecord) -> tuple[Any, ...]:
        cell = record.cell
        return (
            cell.size,
            cell.base,
            cell.batch,
            cell.precision != "fp32",
            cell.precision,
            cell.backend != "exact",
            cell.backend,
            cell.k,
            cell.threads,
            cell.lengths,
            cell.student,
            record.key,
        )

    return sorted(records, key=place)


def backend(record: LatencyRecord) -> str:
    """The backend, and for ``auto`` what it stood for."""
    asked = record.cell.backend
    if record.index is None or record.index.spec == asked:
        return asked
    return f"{asked} -> {record.index.spec}"


def percent(interval: Interval) -> str:
    """An interval in percent.

    >>> percent(Interval(estimate=0.0061, low=0.0058, high=0.0066))
    '0.61 [0.58, 0.66]'
    """
    parts = (f"{100 * value:.2f}" for value in (interval.estimate, interval.low, interval.high))
    estimate, low, high = parts
    return f"{estimate} [{low}, {high}]"


def _name(record: LatencyRecord) -> str:
    star = "*" if record.cell.generated else ""
    return f"{record.cell.base}{star} ({record.cell.size:,})"


def _row(record: LatencyRecord) -> tuple[str, ...]:
    cell, index, result = record.cell, record.index, record.result
    labels = (
        _name(record),
        backend(record),
        cell.precision,
        cell.lengths,
        cell.student,
        record.verdict or record.status,
    )
    axes = (str(cell.k), str(cell.batch), str(cell.threads))
    times: tuple[str, ...] = (EMPTY,) * 10
    if result is not None:
        times = (
            *(f"{value:.2f}" for _, value in result.forward),
            *(f"{value:.3f}" for _, value in result.added),
            percent(result.ratio),
            f"{100 * record.limit:g}",
            percent(result.end_to_end),
            percent(result.noise),
        )
    quality = (EMPTY,) * 4
    if index is not None:
        quality = (
            f"{index.recall:.4f}",
            f"{index.agreement:.4f}",
            EMPTY if index.effort is None else str(index.effort),
            f"{index.build_seconds:.1f}",
        )
    return (*labels, *axes, *times, *quality)


def setting(record: LatencyRecord, among: Sequence[LatencyRecord]) -> tuple[str, ...]:
    """Batch and precision, and those of the other axes that vary between the records."""
    cell = record.cell
    axes = {
        "k": f"k {cell.k}",
        "threads": f"threads {cell.threads}",
        "student": cell.student,
    }
    varying = [
        text for name, text in axes.items() if len({getattr(r.cell, name) for r in among}) > 1
    ]
    return (f"batch {cell.batch}", cell.precision, *varying, *_lengths(record, among))


def _lengths(record: LatencyRecord, among: Sequence[LatencyRecord]) -> list[str]:
    """The lengths, where a base was measured with several: each base has its own by default."""
    by_base: dict[str, set[str]] = {}
    for one in among:
        by_base.setdefault(one.cell.base, set()).add(one.cell.lengths)
    several = any(len(lengths) > 1 for lengths in by_base.values())
    return [record.cell.lengths] if several else []


def _matrix(name: str, records: Sequence[LatencyRecord]) -> Table:
    backends = sorted({r.cell.backend for r in records}, key=lambda b: (b != "exact", b))
    bases = list(dict.fromkeys(_name(record) for record in records))
    at = {(_name(record), record.cell.backend): record for record in records}
    rows = tuple((base, *(_overhead(at.get((base, one))) for one in backends)) for base in bases)
    marks = ", ".join(f"{mark} {verdict}" for verdict, mark in MARKS.items())
    limits = ", ".join(f"{100 * limit:g} %" for limit in sorted({r.limit for r in records}))
    note = f"Overhead in percent of the forward, against {limits}: {marks}."
    return Table(f"Overhead %, {name}", ("base", *backends), rows, 1, (note,))


def _overhead(record: LatencyRecord | None) -> str:
    if record is None:
        return EMPTY
    if record.result is None or record.verdict is None:
        return record.status
    return f"{100 * record.result.ratio.estimate:.2f} {MARKS[record.verdict]}"


def _flat(record: LatencyRecord) -> dict[str, Any]:
    row: dict[str, Any] = {"key": record.key, **record.cell.model_dump()}
    row |= {"status": record.status, "reason": record.reason}
    row |= {"limit": record.limit, "verdict": record.verdict}
    if record.result is not None:
        for name, value in record.result:
            if isinstance(value, Times | Interval):
                row |= {f"{name}_{part}": number for part, number in value}
            elif name != "environments":
                row[name] = value
    if record.index is not None:
        about = record.index.model_dump(exclude={"params", "build_load", "key"})
        row |= {f"index_{name}": value for name, value in about.items()}
    return row
