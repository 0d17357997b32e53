"""Memory of a knowledge base by backend: a row per measured cell, in bytes and seconds.

``resident``: anonymous and mapped bytes after load and queries; ``x_exact``: that over the same of
exact search of the same knowledge base, missing where either was not measured.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from pandas import DataFrame

from bench.records.measurement import MemoryRecord, MemoryResult, Reduction, width
from bench.report.charts import measured
from bench.report.command_line import bases, reductions
from bench.report.frame import Row, rows, typed
from bench.report.inputs import MeasuredInputs
from bench.report.reduced import entries, reduction, variant, whole
from bench.report.section import Column, Command, Section, View
from bench.report.summary import number

REFERENCE = "exact"

NOTES = (
    "MB (10^6 bytes). Formula: the backend's own, with soft labels and ids. Disk: the saved index "
    "(for exact the keys), soft labels and ids; a lower bound. RSS: growth of anonymous memory in "
    "a fresh process after load and one pass of the queries; an upper bound. Mapped: growth of "
    "pages of mapped files, which the system can take back. Peak: the highest resident memory on "
    "the way, mapped pages included.",
    "Resident is RSS and mapped together, per entry in bytes, and as a multiple of that of exact "
    "over the same knowledge base.",
)


REDUCED = (
    "RSS, mapped and peak are read in pages, and work buffers of the libraries are in them: of a "
    "base of a few hundred entries only formula and disk tell its size."
)


def _rows(inputs: MeasuredInputs) -> Iterator[dict[str, Any]]:
    """The smallest knowledge base first, exact before the others."""
    records = sorted(inputs.memory, key=_place)
    exact: dict[Any, int] = {}
    for record in records:
        if record.backend == REFERENCE and record.result:
            exact.setdefault(_base(record), resident(record.result))
    for record in records:
        count = resident(record.result) if record.result else None
        reference = exact.get(_base(record), 0)
        times = None if count is None or reference <= 0 else count / reference
        yield {**dict(record), "resident": count, "x_exact": times}


def _place(record: MemoryRecord) -> tuple[Any, ...]:
    """A base that was made smaller follows the whole one."""
    done = (-record.size, record.reduction.words if record.reduction else "")
    backend = (record.backend != REFERENCE, record.backend)
    return (whole(record), record.base, record.dim, *done, record.k, *backend)


def _base(record: MemoryRecord) -> tuple[str, int]:
    return json.dumps(record.identity.get("base"), sort_keys=True), record.k


def resident(result: MemoryResult) -> int:
    """Bytes in memory after load and queries: anonymous and mapped."""
    return result.rss_growth + result.mapped


def _notes(frame: DataFrame) -> Iterator[str]:
    """A cell without figures says why."""
    yield from NOTES
    for row in rows(frame):
        if row.result is None:
            yield f"{_name(row)} {row.backend} k {row.k}: {row.status}, {row.reason}"


def _name(row: Row) -> str:
    return f"{row.base} {variant(row)}".rstrip()


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f}"


def _kilobytes(count: int) -> str:
    """Megabytes, to a kilobyte where there are few of them."""
    return _megabytes(count) if abs(count) >= 1e6 else f"{count / 1e6:.3f}"


def _backend(row: Row) -> str:
    spec = row.index.spec if row.index else row.backend
    return row.backend if spec == row.backend else f"{row.backend} ({spec})"


def _recall(row: Row) -> float | None:
    return row.index.recall if row.index and row.result else None


def _columns(megabytes: Callable[[int], str]) -> tuple[Column, ...]:
    return (
        Column("KB", _name, label=True, keys=("base",)),
        Column(
            "entries",
            lambda row: f"{entries(row)} x {width(row.dim, reduction(row))}",
            label=True,
        ),
        Column("backend", _backend, label=True, keys=("backend",)),
        Column("k", "k", label=True),
        Column("formula MB", "result.formula", megabytes),
        Column("disk MB", "result.serialized", megabytes),
        Column("RSS MB", "result.rss_growth", megabytes),
        Column("mapped MB", "result.mapped", megabytes),
        Column("peak MB", "result.peak_growth", megabytes),
        Column(
            "disk B/entry",
            lambda row: row.result.serialized / row.size if row.result else None,
            "{:,.0f}".format,
        ),
        Column(
            "resident B/entry",
            lambda row: row.resident / row.size if row.result else None,
            "{:,.0f}".format,
        ),
        Column("x exact", "x_exact", "{:.2f}".format),
        Column("recall", _recall, "{:.4f}".format),
        Column("load s", "result.load_seconds", number),
    )


def _views(frame: DataFrame, _: MeasuredInputs) -> Iterator[View]:
    """One table; of small bases in thousandths of a megabyte."""
    if not len(frame):
        return
    reduced = any(variant(row) for row in rows(frame))
    notes = [*_notes(frame), *[REDUCED] * reduced]
    columns = _columns(_kilobytes if reduced else _megabytes)
    yield View("Memory of the knowledge base", columns, tuple(notes))


def _command(row: Row) -> Command:
    line = row.provenance.command
    only = {"--bases": bases(row.base, line), "--ann": [row.backend], "--k": [str(row.k)]}
    only |= reductions(row, line)
    name = f"{row.base} ({entries(row)}) {variant(row)}".rstrip()
    return Command(line, only, f"{name} {row.backend} k {row.k}")


def _tidy(frame: DataFrame) -> DataFrame:
    """Every cell in bytes and seconds under short names."""
    about = ["key", "base", "size", "dim", "classes", "generated", "backend", "k"]
    about += ["status", "reason"]
    index = ("spec", "effort", "target", "target_met", "recall", "agreement")
    names = {name: name for name in about} | {f"index.{name}": name for name in index}
    reduced = (f"reduction.{name}" for name in Reduction.model_fields)
    names |= {name: name.partition(".")[2] for name in reduced if name in frame}
    names |= {f"result.{name}": name for name in MemoryResult.model_fields}
    names |= {"resident": "resident", "x_exact": "x_exact"}
    return frame.reindex(columns=list(names)).rename(columns=names)


SECTION = Section(
    "memory",
    "Memory of the knowledge base",
    lambda inputs: typed(_rows(inputs)),
    _views,
    pictures=lambda frame, _: measured.memory(frame),
    command=_command,
    tidy=("memory.csv", _tidy),
)
