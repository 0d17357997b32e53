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

from bench.records.measurements import Measurements
from bench.records.results import load
from bench.records.run import Record
from bench.records.store import StoreError
from bench.report import build
from bench.report.build import join
from bench.report.document import Report
from bench.report.inputs import MeasuredInputs, RunInputs
from bench.report.render import data, markdown
from bench.report.table import Table
from tests.bench.measure import judged
from tests.bench.report import factory, small

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


def table(report: Report, title: str) -> Table:
    return next(table for table in report.tables if table.title.startswith(title))


def measured(folder: Path) -> Report:
    store = Measurements(folder)
    store.create()
    store.write(judged.record())
    return build.of_measurements(MeasuredInputs(store))


def test_markdown_tables_are_rectangular(made: Report) -> None:
    for one in made.tables:
        lines = markdown.grid(one).splitlines()
        assert len({len(line) for line in lines}) == 1
        bars = {line.replace("\\|", "").count("|") for line in lines}
        assert bars == {len(one.columns) + 1}


def test_the_data_is_strict_json(made: Report) -> None:
    assert factory.strict(data.json_text(made.data)) == json.loads(json.dumps(made.data))


def test_csv_and_json_hold_the_same_rows(made: Report) -> None:
    tidy = dict(data.tidy(made))
    listed = made.data["rows"]
    assert tidy.keys() == ({"results.csv"} if listed else set())
    at = [(row["key"], row["split"], row["metric"], row["retrieval"]) for row in listed]
    assert len(set(at)) == len(at)
    if listed:
        read = list(csv.DictReader(io.StringIO(data.as_csv(tidy["results.csv"]))))
        texts = [{n: "" if v is None else str(v) for n, v in row.items()} for row in listed]
        assert read == texts


def test_the_order_in_which_records_were_written_does_not_matter(tmp_path: Path) -> None:
    records = factory.matrix()
    mixed = Random(0).sample(records, len(records))
    one = factory.report(tmp_path / "a" / "run", records)
    other = factory.report(tmp_path / "b" / "run", mixed, plan=records)
    assert (other.data, other.tables, other.lead) == (one.data, one.tables, one.lead)


def test_a_killed_run_reports_the_cells_it_has(tmp_path: Path) -> None:
    plan = factory.matrix()
    killed = factory.report(tmp_path / "a", plan[:7], plan=plan)
    alone = factory.report(tmp_path / "b", plan[:7])
    for name in ("scores", "retrieval", "costs", "effort", "training", "rows", "provenance"):
        assert killed.data[name] == alone.data[name]
    missing = [cell for cell in killed.data["cells"] if cell["status"] == "missing"]
    assert len(missing) == len(plan) - 7
    assert "24 cells: 7 ok, 17 missing." in killed.lead
    assert (killed.unfinished, alone.unfinished) == (True, False)


def test_every_cell_that_is_not_ok_is_listed_with_its_reason(tmp_path: Path) -> None:
    ok = factory.training(method="kd")
    broken = factory.failed(factory.training(method="reaugkd"), "ValueError: a | b\nand more")
    skipped = factory.failed(factory.training("stsb"), "regression has no classes", "skipped")
    waiting = factory.retrieval()
    report = factory.report(tmp_path, [ok, broken, skipped], plan=[ok, broken, skipped, waiting])
    rows = {row[-1]: row for row in table(report, "Cells that are not ok").rows}
    assert rows.keys() == {broken.key, skipped.key, waiting.key}
    assert rows[broken.key][5:7] == ("failed", "ValueError: a | b and more")
    assert rows[skipped.key][5:7] == ("skipped", "regression has no classes")
    assert rows[waiting.key][5:7] == ("missing", "its training cell is failed")
    assert "a \\| b and more" in markdown.render(report)
    assert table(report, "Status").rows[0][:5] == ("training", "3", "1", "1", "1")


def test_a_failed_cell_gives_no_figure(tmp_path: Path) -> None:
    good, bad = factory.training(seed=0, value=0.8), factory.training(seed=1, value=0.1)
    alone = factory.report(tmp_path / "alone", [good])
    half_done = bad.model_copy(update={"status": "failed", "reason": "no"})
    for number, record in enumerate((factory.failed(bad, "no"), half_done)):
        both = factory.report(tmp_path / str(number), [good, record])
        assert both.data["scores"] == alone.data["scores"]
        assert both.data["rows"] == alone.data["rows"]


def test_records_outside_the_plan_are_counted_and_not_shown(tmp_path: Path) -> None:
    records = factory.matrix()
    some = factory.report(tmp_path / "a", records, plan=records[:4])
    alone = factory.report(tmp_path / "b", records[:4])
    assert some.data["scores"] == alone.data["scores"]
    assert f"{len(records) - 4} records of cells outside the last plan" in " ".join(some.lead)


def test_unusable_files_are_named_and_their_cells_are_unreadable(tmp_path: Path) -> None:
    records = factory.matrix([0])
    store = factory.store(tmp_path, records)
    truncated, older = (store.cells / f"{record.key}.json" for record in records[:2])
    truncated.write_text(truncated.read_text(encoding="utf-8")[:50], encoding="utf-8")
    content = json.loads(older.read_text(encoding="utf-8")) | {"schema_version": 0}
    older.write_text(json.dumps(content), encoding="utf-8")
    (store.cells / "foreign.json").write_text("[]", encoding="utf-8")
    report = build.of_run(RunInputs(load(store)))
    named = {row[0]: row[1] for row in table(report, "Unusable files").rows}
    assert named.keys() == {truncated.name, older.name, "foreign.json"}
    assert {one["file"] for one in report.data["unusable_files"]} == named.keys()
    assert "schema version 0" in named[older.name]
    cells = {cell["key"]: cell["status"] for cell in report.data["cells"]}
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
    report = factory.report(tmp_path, records)
    warnings = " ".join(line for line in report.lead if "Warn" in line)
    assert said in warnings if said else not warnings
    if "cpu" in change:  # every distinct origin is listed
        listed = [value for name, value in table(report, "Provenance").rows if name == "CPU"]
        assert listed == ["Other CPU", "Test CPU"]


def test_a_number_that_is_none_never_reaches_the_json(tmp_path: Path) -> None:
    record = factory.training()
    assert record.training is not None
    broken = record.training.model_copy(update={"scores": factory.scores("mrpc", math.nan)})
    results = factory.results(tmp_path, [record, factory.retrieval()])
    (student, index), run = results.cells, results.run | {"config": {"odd": math.inf}}
    student = replace(student, record=record.model_copy(update={"training": broken}))
    report = build.of_run(RunInputs(replace(results, cells=(student, index), run=run)))
    assert factory.strict(data.json_text(report.data)) == json.loads(json.dumps(report.data))
    assert all("nan" not in data.as_csv(frame) for _, frame in data.tidy(report))
    assert not any("nan" in cell for one in report.tables for row in one.rows for cell in row)


@pytest.mark.parametrize("cells", [[{"key": "x"}], ["x"], [{"key": 1, "kind": "odd"}]])
def test_a_damaged_plan_is_named(cells: list[Any], tmp_path: Path) -> None:
    store = factory.store(tmp_path, [])
    store.write_run({"cells": cells})
    with pytest.raises(StoreError, match=r"run\.json is damaged: cells: 0"):
        load(store)


def test_search_times_taken_on_a_busy_machine_are_marked(tmp_path: Path) -> None:
    busy = factory.provenance(load=[5.0, 1.0, 1.0])
    idle = factory.provenance(load=[1.5, 1.0, 1.0])
    records = [
        factory.retrieval(seed=0, provenance=busy),
        factory.retrieval(seed=1, provenance=idle),
        factory.training(provenance=busy),  # its time is not a search time
    ]
    (line,) = (line for line in factory.report(tmp_path / "busy", records).lead if "Warn" in line)
    assert "1 of 2 search times were taken on a busy machine (load up to 5.0" in line
    assert not any("Warn" in line for line in factory.report(tmp_path / "idle", records[1:]).lead)


def test_what_a_reader_must_know_of_the_rows_stands_above_the_tables(tmp_path: Path) -> None:
    record = factory.training()
    assert record.training is not None
    noted = record.training.model_copy(update={"notes": ["3 rows were skipped"]})
    config = {"data": {"limit": 5000}, "task": {"rte": {"data": {"limit": 20}}}}
    records = [record.model_copy(update={"training": noted})]
    lead = factory.report(tmp_path, records, config=config).lead
    assert "MRPC: 3 rows were skipped" in lead
    assert "Source: MRPC folder." in lead
    assert "train was limited to 5,000 rows (--limit)." in lead
    assert "rte: train was limited to 20 rows (--limit)." in lead


def test_what_a_section_shows_is_in_the_data_in_full(made: Report) -> None:
    for part in made.parts:
        if part.section.data:
            assert len(made.data[part.section.name.replace("-", "_")]) == len(part.frame)
    frames = dict(data.sections(made))
    headings = {part.section.heading for part in made.parts if part.shown}
    parts = [p for p in made.parts if p.section.heading in headings and p.section.data]
    assert frames.keys() == {part.section.name for part in parts if len(part.frame)}


# --- measurements beside it ----------------------------------------------------------------------


def rows(*reports: Report) -> list[tuple[str, ...]]:
    return sorted(row for report in reports for table in report.tables for row in table.rows)


def test_every_row_and_sentence_of_all_is_there_once(tmp_path: Path) -> None:
    run = factory.report(tmp_path / "run", factory.matrix([0]))
    assert join(run, []) is run
    one, two = measured(tmp_path / "one"), measured(tmp_path / "two")
    both = join(run, [("one", one), ("two", two)])
    assert rows(both) == rows(run, one, two)
    leads = (f"{name}: {line}" for name, of in (("one", one), ("two", two)) for line in of.lead)
    assert both.lead == (*run.lead, *leads)
    assert both.headline == (*run.headline, *one.headline, *two.headline)
    assert both.data == run.data | {"measured": {"one": one.data, "two": two.data}}


def test_several_folders_are_told_apart_and_what_is_about_them_comes_last(tmp_path: Path) -> None:
    run = factory.report(tmp_path / "run", factory.matrix([0]))
    both = join(run, [("same", measured(tmp_path / name / "same")) for name in ("one", "two")])
    about = [part.section.about for part in both.shown]
    assert about == sorted(about)
    titles = [table.title for table in both.tables]
    assert len(set(titles)) == len(titles)
    latency = [t.title for p in both.shown if p.section.name == "latency" for t in p.tables]
    assert {title.rsplit(", ", 1)[1] for title in latency} == {"same", "same (2)"}
    assert both.data["measured"].keys() == {"same", "same (2)"}
    alone = {table.title for table in join(run, [("one", measured(tmp_path / "one"))]).tables}
    assert {"Latency of retrieval", "Provenance", "Provenance, one"} <= alone


def test_pictures_of_several_folders_have_names_of_their_own() -> None:
    pictured = small.report(small.pictured())
    both = join(pictured, [("a", pictured), ("a", pictured), ("A!", pictured)])
    names = [picture.name for part in both.parts for picture in part.pictures]
    assert names == ["points", "points-a", "points-a-2", "points-a-3"]
