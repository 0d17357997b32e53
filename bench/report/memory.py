"""Memory of a knowledge base by backend, as a table and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from bench.records.measurement import MemoryRecord, MemoryResult
from bench.report.summary import number
from bench.report.table import EMPTY, Table

TITLE = "Memory of the knowledge base"
REFERENCE = "exact"

_NOTES = (
    "MB (10^6 bytes). Formula: the backend's own, with soft labels and ids. Disk: the saved index "
    "(for exact the keys), soft labels and ids; a lower bound. RSS: growth of anonymous memory in "
    "a fresh process after load and one pass of the queries; an upper bound. Mapped: growth of "
    "pages of mapped files, which the system can take back. Peak: the highest resident memory on "
    "the way, mapped pages included.",
    "Resident is RSS and mapped together, per entry in bytes, and as a multiple of that of exact "
    "over the same knowledge base.",
)

_FIGURES = {
    "formula": "formula",
    "serialized": "disk",
    "rss_growth": "RSS",
    "mapped": "mapped",
    "peak_growth": "peak",
}


def resident(result: MemoryResult) -> int:
    """Bytes in memory after load and queries: anonymous and mapped."""
    return result.rss_growth + result.mapped


def table(records: Sequence[MemoryRecord]) -> Table:
    """One row per cell, the smallest knowledge base first; a cell without figures says why."""
    ordered = _ordered(records)
    labels = ("KB", "entries", "backend", "k")
    figures = (*(f"{name} MB" for name in _FIGURES.values()), "disk B/entry", "resident B/entry")
    columns = (*labels, *figures, "x exact", "recall", "load s")
    reasons = tuple(
        f"{record.base} {record.backend} k {record.k}: {record.status}, {record.reason}"
        for record in ordered
        if record.result is None
    )
    rows = tuple(_row(record, _relative(record, ordered)) for record in ordered)
    return Table(TITLE, columns, rows, len(labels), (*_NOTES, *reasons))


def as_csv(records: Sequence[MemoryRecord]) -> str:
    """Every cell in bytes and seconds, in full precision; nothing where there is no figure."""
    text = io.StringIO()
    about = ("key", "base", "size", "dim", "classes", "generated", "backend", "k", "status")
    told = ("reason", "spec", "effort", "target", "target_met", "recall", "agreement")
    names = (*about, *told, *MemoryResult.model_fields, "resident", "x_exact")
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    ordered = _ordered(records)
    for record in ordered:
        row = {**record.model_dump(include={*about, "reason"})}
        if record.index is not None:
            row |= record.index.model_dump(include={*told})
        if record.result is not None:
            row |= {**record.result.model_dump(), "resident": resident(record.result)}
            row["x_exact"] = _relative(record, ordered)
        writer.writerow(row)
    return text.getvalue()


def _ordered(records: Sequence[MemoryRecord]) -> list[MemoryRecord]:
    return sorted(
        records, key=lambda r: (r.size, r.base, r.dim, r.k, r.backend != REFERENCE, r.backend)
    )


def _relative(record: MemoryRecord, records: Sequence[MemoryRecord]) -> float | None:
    """Resident bytes over those of exact; None where either was not measured."""
    same = [
        other.result
        for other in records
        if other.backend == REFERENCE
        and other.identity.get("base") == record.identity.get("base")
        and other.k == record.k
        and other.result is not None
    ]
    if not same or record.result is None or resident(same[0]) <= 0:
        return None
    return resident(record.result) / resident(same[0])


def _row(record: MemoryRecord, relative: float | None) -> tuple[str, ...]:
    spec = record.index.spec if record.index is not None else record.backend
    backend = record.backend if spec == record.backend else f"{record.backend} ({spec})"
    labels = (record.base, f"{record.size:,} x {record.dim}", backend, str(record.k))
    if record.result is None:
        return (*labels, *[EMPTY] * (len(_FIGURES) + 5))
    result = record.result
    return (
        *labels,
        *(f"{getattr(result, name) / 1e6:,.1f}" for name in _FIGURES),
        f"{result.serialized / record.size:,.0f}",
        f"{resident(result) / record.size:,.0f}",
        EMPTY if relative is None else f"{relative:.2f}",
        EMPTY if record.index is None else f"{record.index.recall:.4f}",
        number(result.load_seconds),
    )
