"""The memory table: units, relations, and what it says of cells without figures."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from bench.records.measurement import MemoryRecord, MemoryResult
from bench.report import memory
from bench.report.render import markdown
from bench.report.table import EMPTY, Table
from tests.bench.report.factory import provenance

MB = 1_000_000


def result(**changes: Any) -> MemoryResult:
    values: dict[str, Any] = {
        "formula": 10 * MB,
        "serialized": 8 * MB,
        "rss_growth": 1 * MB,
        "mapped": 9 * MB,
        "peak_growth": 12 * MB,
        "load_seconds": 0.5,
    }
    return MemoryResult(**(values | changes))


def record(backend: str = "exact", **changes: Any) -> MemoryRecord:
    values: dict[str, Any] = {
        "key": backend,
        "identity": {"base": {"size": changes.get("size", 10_000)}},
        "status": "ok",
        "base": "10000",
        "size": 10_000,
        "dim": 768,
        "classes": 2,
        "generated": True,
        "backend": backend,
        "k": 10,
        "result": result(),
        "provenance": provenance(),
    }
    return MemoryRecord(**(values | changes))


def cell(table: Table, backend: str, column: str, entries: str = "10,000 x 768") -> str:
    (row,) = [row for row in table.rows if row[2] == backend and row[1] == entries]
    return row[table.columns.index(column)]


GRAPH = record("hnswlib", result=result(rss_growth=30 * MB, mapped=0))


def test_figures_are_in_megabytes_per_entry_and_relative_to_exact() -> None:
    table = memory.table([record(), GRAPH])
    assert cell(table, "exact", "formula MB") == "10.0"
    assert cell(table, "exact", "disk B/entry") == "800"
    assert cell(table, "exact", "resident B/entry") == "1,000"  # anonymous and mapped
    assert cell(table, "exact", "x exact") == "1.00"
    assert cell(table, "hnswlib", "x exact") == "3.00"
    assert cell(table, "hnswlib", "peak MB") == "12.0"


def test_exact_over_another_base_is_no_reference() -> None:
    table = memory.table([record(size=500), GRAPH])
    assert cell(table, "hnswlib", "x exact") == EMPTY


def test_rows_go_by_size_with_exact_first() -> None:
    table = memory.table([GRAPH, record(), record("annoy", size=500), record(size=500)])
    assert [(row[1], row[2]) for row in table.rows] == [
        ("500 x 768", "exact"),
        ("500 x 768", "annoy"),
        ("10,000 x 768", "exact"),
        ("10,000 x 768", "hnswlib"),
    ]


@pytest.mark.parametrize("status", ["failed", "skipped"])
def test_a_cell_without_figures_says_why(status: str) -> None:
    dead = record("voyager", status=status, reason="ended by SIGKILL", result=None)
    table = memory.table([record(), dead])
    assert cell(table, "voyager", "RSS MB") == EMPTY
    assert f"10000 voyager k 10: {status}, ended by SIGKILL" in table.notes


def test_no_records_make_an_empty_table() -> None:
    assert memory.table([]).rows == ()
    assert len(memory.as_csv([]).splitlines()) == 1


def test_markdown_has_a_line_per_cell() -> None:
    lines = markdown.grid(memory.table([record(), GRAPH])).splitlines()
    assert len(lines) == 4
    assert "hnswlib" in lines[3]


def test_csv_has_whole_bytes_and_blanks_where_there_is_nothing() -> None:
    dead = record("voyager", status="failed", reason="a, b", result=None)
    rows = {r["backend"]: r for r in csv.DictReader(io.StringIO(memory.as_csv([GRAPH, dead])))}
    assert int(rows["hnswlib"]["rss_growth"]) == 30 * MB
    assert int(rows["hnswlib"]["resident"]) == 30 * MB
    assert rows["hnswlib"]["x_exact"] == ""
    assert rows["voyager"]["rss_growth"] == ""
    assert rows["voyager"]["reason"] == "a, b"
