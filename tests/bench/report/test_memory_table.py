"""The memory table: units, relations, and what it says of cells without figures."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from bench.records.measurement import MemoryRecord, MemoryResult, Reduction
from bench.records.measurements import Measurements
from bench.report.inputs import MeasuredInputs
from bench.report.render.data import as_csv
from bench.report.sections.memory import SECTION
from bench.report.table import EMPTY, Table
from tests.bench.report import shown
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
    size = changes.get("size", 10_000)
    values: dict[str, Any] = {
        "key": f"{backend}-{size}",
        "identity": {"base": {"size": size}},
        "status": "ok",
        "base": "10000",
        "size": size,
        "dim": 768,
        "classes": 2,
        "generated": True,
        "backend": backend,
        "k": 10,
        "result": result(),
        "provenance": provenance(),
    }
    return MemoryRecord(**(values | changes))


GRAPH = record("hnswlib", result=result(rss_growth=30 * MB, mapped=0))
DEAD = record("voyager", status="failed", reason="a, b", result=None)


def inputs(folder: Path, *records: MemoryRecord) -> MeasuredInputs:
    store = Measurements(folder)
    store.create()
    for one in records:
        store.write(one)
    return MeasuredInputs(store)


def cell(table: Table, backend: str, column: str) -> str:
    (row,) = [row for row in table.rows if row[2] == backend]
    return row[table.columns.index(column)]


def test_figures_are_in_megabytes_per_entry_and_relative_to_exact(tmp_path: Path) -> None:
    (table,) = shown.tables(SECTION, inputs(tmp_path, record(), GRAPH))
    assert cell(table, "exact", "formula MB") == "10.0"
    assert cell(table, "exact", "disk B/entry") == "800"
    assert cell(table, "exact", "resident B/entry") == "1,000"  # anonymous and mapped
    assert cell(table, "exact", "x exact") == "1.00"
    assert cell(table, "hnswlib", "x exact") == "3.00"
    assert cell(table, "hnswlib", "peak MB") == "12.0"


def test_rows_go_by_size_with_exact_first_and_each_base_has_its_own_exact(tmp_path: Path) -> None:
    small = (record("annoy", size=500), record(size=500))
    (table,) = shown.tables(SECTION, inputs(tmp_path, GRAPH, *small))
    assert [(row[1], row[2]) for row in table.rows] == [
        ("500 x 768", "exact"),
        ("500 x 768", "annoy"),
        ("10,000 x 768", "hnswlib"),
    ]
    assert cell(table, "hnswlib", "x exact") == EMPTY


def test_a_reduced_base_follows_the_whole_one_in_kilobytes(tmp_path: Path) -> None:
    done = Reduction(condense="kmeans:256", rows=10_000, pca=64, value_bits=8)
    identity = {"base": {"reduced": 256}}
    sizes = result(formula=70_000, rss_growth=0, mapped=131_072)
    few = record(size=256, reduction=done, identity=identity, result=sizes, base="10000")
    found = inputs(tmp_path, few, GRAPH, record())
    (table,) = shown.tables(SECTION, found)
    assert [row[:3] for row in table.rows] == [
        ("10000", "10,000 x 768", "exact"),
        ("10000", "10,000 x 768", "hnswlib"),
        ("10000 kmeans:256, pca 64, 8-bit values", "256 of 10,000 x 64", "exact"),
    ]
    assert table.rows[2][4] == "0.070"
    assert any("only formula and disk" in note for note in table.notes)
    assert SECTION.tidy is not None
    frame = SECTION.tidy[1](found.frame(SECTION))
    assert frame["pca"].fillna(0).tolist() == [0, 0, 64]


@pytest.mark.parametrize("status", ["failed", "skipped"])
def test_a_cell_without_figures_says_why(status: str, tmp_path: Path) -> None:
    dead = DEAD.model_copy(update={"status": status})
    (table,) = shown.tables(SECTION, inputs(tmp_path, record(), dead))
    assert cell(table, "voyager", "RSS MB") == EMPTY
    assert f"10000 voyager k 10: {status}, a, b" in table.notes


def test_csv_has_whole_bytes_and_blanks_where_there_is_nothing(tmp_path: Path) -> None:
    assert SECTION.tidy is not None
    _, tidy = SECTION.tidy
    text = as_csv(tidy(inputs(tmp_path, GRAPH, DEAD).frame(SECTION)))
    rows = {row["backend"]: row for row in csv.DictReader(io.StringIO(text))}
    assert int(rows["hnswlib"]["rss_growth"]) == int(rows["hnswlib"]["resident"]) == 30 * MB
    assert rows["hnswlib"]["x_exact"] == rows["voyager"]["rss_growth"] == ""
    assert rows["voyager"]["reason"] == "a, b"
