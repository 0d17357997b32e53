"""Laws of the whole report: it hides nothing, invents nothing and always can be made."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bench.records.run import Record
from bench.records.store import StoreError
from bench.report import origin, tidy
from bench.report.document import Report, build
from bench.report.render import markdown
from bench.report.results import load
from bench.report.table import Table
from tests.bench.report import factory


def table(made: Report, title: str) -> Table:
    return next(table for table in made.tables if table.title.startswith(title))


def lines(made: Report) -> str:
    return markdown.render(made)


RUNS: dict[str, list[Record]] = {
    "empty": [],
    "only failed": [
        factory.failed(factory.training(), "no"),
        factory.failed(factory.retrieval(), "no"),
    ],
    "only retrieval": [factory.retrieval()],
    "one seed": factory.matrix([0]),
    "regression": [factory.training("stsb", "reaugkd"), factory.retrieval("stsb")],
    "no teacher": [factory.training(method="finetune", teacher=False)],
    "full": factory.matrix(),
}


@pytest.fixture(params=RUNS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Report:
    return factory.report(tmp_path, RUNS[request.param])


def test_markdown_tables_are_rectangular(made: Report) -> None:
    for one in made.tables:
        rows = markdown.grid(one).splitlines()
        assert len({len(row) for row in rows}) == 1
        bars = {row.replace("\\|", "").count("|") for row in rows}
        assert bars == {len(one.columns) + 1}


def test_the_data_is_strict_json(made: Report) -> None:
    text = json.dumps(made.data, allow_nan=False)
    assert factory.strict(text) == made.data


def test_csv_and_json_hold_the_same_rows(made: Report) -> None:
    read = list(csv.DictReader(io.StringIO(tidy.as_csv(made.rows))))
    rows = made.data["rows"]
    assert read == [
        {name: "" if value is None else str(value) for name, value in row.items()} for row in rows
    ]
    assert [float(row["value"]) for row in read] == [row["value"] for row in rows]


def test_there_is_one_tidy_row_per_cell_split_metric_and_setting(tmp_path: Path) -> None:
    rows = factory.report(tmp_path, factory.matrix([0])).rows
    at = [(row.key, row.split, row.metric, row.retrieval) for row in rows]
    assert len(set(at)) == len(at)
    # two tasks, two splits, two metrics: two students off, two indexes off and on
    assert len(at) == 2 * 2 * 2 * (2 + 2 * 2)


def test_the_order_in_which_records_were_written_does_not_matter(tmp_path: Path) -> None:
    records = factory.matrix()
    mixed = Random(0).sample(records, len(records))
    one = factory.report(tmp_path / "a" / "run", records)
    other = factory.report(tmp_path / "b" / "run", mixed, plan=records)
    assert other == one


def test_a_killed_run_reports_the_cells_it_has(tmp_path: Path) -> None:
    plan = factory.matrix()
    done = plan[:7]
    killed = factory.report(tmp_path / "a", done, plan=plan)
    alone = factory.report(tmp_path / "b", done)
    for name in ("scores", "retrieval", "costs", "effort", "training", "rows", "provenance"):
        assert killed.data[name] == alone.data[name]
    missing = [cell for cell in killed.data["cells"] if cell["status"] == "missing"]
    assert len(missing) == len(plan) - len(done)
    assert "24 cells: 7 ok, 17 missing." in killed.lead


def test_every_cell_that_is_not_ok_is_listed_with_its_reason(tmp_path: Path) -> None:
    ok = factory.training(method="kd")
    broken = factory.failed(factory.training(method="reaugkd"), "ValueError: a | b\nand more")
    skipped = factory.failed(factory.training("stsb"), "regression has no classes", "skipped")
    waiting = factory.retrieval()
    made = factory.report(tmp_path, [ok, broken, skipped], plan=[ok, broken, skipped, waiting])
    rows = {row[-1]: row for row in table(made, "Cells that are not ok").rows}
    assert rows.keys() == {broken.key, skipped.key, waiting.key}
    assert rows[broken.key][5:7] == ("failed", "ValueError: a | b and more")
    assert rows[skipped.key][5:7] == ("skipped", "regression has no classes")
    assert rows[waiting.key][5:7] == ("missing", "its training cell is failed")
    assert "a \\| b and more" in lines(made)
    assert table(made, "Status").rows[0][:5] == ("training", "3", "1", "1", "1")


def test_a_failed_cell_gives_no_figure(tmp_path: Path) -> None:
    good, bad = factory.training(seed=0, value=0.8), factory.training(seed=1, value=0.1)
    alone = factory.report(tmp_path / "alone", [good])
    half_done = bad.model_copy(update={"status": "failed", "reason": "no"})
    for number, record in enumerate((factory.failed(bad, "no"), half_done)):
        both = factory.report(tmp_path / str(number), [good, record])
        assert both.data["scores"] == alone.data["scores"]
        assert both.rows == alone.rows


def test_records_outside_the_plan_are_counted_and_not_shown(tmp_path: Path) -> None:
    records = factory.matrix()
    made = factory.report(tmp_path / "a", records, plan=records[:4])
    alone = factory.report(tmp_path / "b", records[:4])
    assert made.data["scores"] == alone.data["scores"]
    assert f"{len(records) - 4} records of cells outside the last plan" in " ".join(made.lead)


def test_unusable_files_are_named_and_their_cells_are_unreadable(tmp_path: Path) -> None:
    records = factory.matrix([0])
    store = factory.store(tmp_path, records)
    truncated, older = (store.cells / f"{record.key}.json" for record in records[:2])
    truncated.write_text(truncated.read_text(encoding="utf-8")[:50], encoding="utf-8")
    content = json.loads(older.read_text(encoding="utf-8")) | {"schema_version": 0}
    older.write_text(json.dumps(content), encoding="utf-8")
    (store.cells / "foreign.json").write_text("[]", encoding="utf-8")
    made = build(load(store))
    named = {row[0]: row[1] for row in table(made, "Unusable files").rows}
    assert named.keys() == {truncated.name, older.name, "foreign.json"}
    assert "schema version 0" in named[older.name]
    cells = {cell["key"]: cell["status"] for cell in made.data["cells"]}
    assert [cells[record.key] for record in records[:3]] == ["unreadable", "unreadable", "ok"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cpu": "Other CPU"}, "different machines are mixed (CPU differs"),
        ({"threads": 8, "cores": 4}, "different machines are mixed (cores, threads differ;"),
        ({"commit": "fedcba"}, "different commits"),
        ({"packages": {"torch": "2.6.0"}}, "different package versions"),
        ({"dirty": True}, "uncommitted changes"),
        ({"command": "bench run --seeds 1"}, None),
        ({"time": "2026-01-01T00:00:00+00:00"}, None),
    ],
)
def test_a_mixture_of_origins_is_warned_of(
    change: dict[str, Any], said: str | None, tmp_path: Path
) -> None:
    records = [
        factory.training(seed=0),
        factory.training(seed=1, provenance=factory.provenance(**change)),
    ]
    warned = [line for line in factory.report(tmp_path, records).lead if "Warning" in line]
    assert any(said in line for line in warned) if said else not warned


def test_every_distinct_origin_is_listed(tmp_path: Path) -> None:
    other = factory.provenance(cpu="Other CPU")
    records = [factory.training(seed=0), factory.training(seed=1, provenance=other)]
    rows = table(factory.report(tmp_path, records), "Provenance").rows
    assert [value for name, value in rows if name == "CPU"] == ["Other CPU", "Test CPU"]


def test_a_number_that_is_none_never_reaches_the_json(tmp_path: Path) -> None:
    record = factory.training()
    assert record.training is not None
    broken = record.training.model_copy(update={"scores": factory.scores("mrpc", math.nan)})
    results = factory.results(tmp_path, [record, factory.retrieval()])
    (student, index), run = results.cells, results.run | {"config": {"odd": math.inf}}
    student = replace(student, record=record.model_copy(update={"training": broken}))
    made = build(replace(results, cells=(student, index), run=run))
    assert factory.strict(json.dumps(made.data, allow_nan=False)) == made.data
    assert "nan" not in tidy.as_csv(made.rows)
    assert not any("nan" in cell for one in made.tables for row in one.rows for cell in row)


@pytest.mark.parametrize("cells", [[{"key": "x"}], ["x"], [{"key": 1, "kind": "odd"}]])
def test_a_damaged_plan_is_named(cells: list[Any], tmp_path: Path) -> None:
    store = factory.store(tmp_path, [])
    store.write_run({"cells": cells})
    with pytest.raises(StoreError, match=r"run\.json is damaged: cells: 0"):
        load(store)


def test_a_table_refuses_a_row_of_another_width() -> None:
    with pytest.raises(ValueError, match="1 cells for 2 columns"):
        Table("t", ("a", "b"), (("x",),))


def test_search_times_taken_on_a_busy_machine_are_marked() -> None:
    busy = factory.provenance(load=[5.0, 1.0, 1.0])
    idle = factory.provenance(load=[1.5, 1.0, 1.0])
    records = [
        factory.retrieval(seed=0, provenance=busy),
        factory.retrieval(seed=1, provenance=idle),
        factory.training(provenance=busy),  # its time is not a search time
    ]
    (line,) = origin.busy(records)
    assert line.startswith("1 of 2 search times were taken on a busy machine (load up to 5.0")
    assert origin.busy(records[1:]) == []


def test_what_a_reader_must_know_of_the_rows_stands_above_the_tables(tmp_path: Path) -> None:
    made = factory.training()
    assert made.training is not None
    noted = made.training.model_copy(update={"notes": ["3 rows were skipped"]})
    lead = factory.report(tmp_path, [made.model_copy(update={"training": noted})]).lead
    assert "MRPC: 3 rows were skipped" in lead
    assert "Source: MRPC folder." in lead


def test_what_a_section_shows_is_in_the_data_in_full(tmp_path: Path) -> None:
    made = factory.report(tmp_path, factory.matrix())
    names = {section.name for section in made.sections}
    assert {"scores", "retrieval", "ann", "effort", "cells", "provenance"} <= names
    for section in made.sections:
        if section.records:
            rows = made.data[section.name.replace("-", "_")]
            assert len(rows) == len(section.records)
            assert {row["task"] for row in rows} == {one.task for one in section.records}
