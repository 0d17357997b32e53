"""What released versions wrote stays readable, and its report says what the files say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest

from bench.measure import history
from bench.records.measurement import SCHEMA as MEASURED
from bench.records.measurements import Kind, Measurements, PlanFile
from bench.records.results import load
from bench.records.run import SCHEMA
from bench.records.store import Store
from bench.report.build import of_measurements, of_run
from bench.report.document import Report
from bench.report.inputs import HISTORY, MeasuredInputs, RunInputs
from bench.report.render import markdown
from bench.report.table import Table

GOLDEN = Path(__file__).parents[1] / "golden"
RUNS = sorted(GOLDEN.glob("run-schema-*"))
MEASURES = sorted(GOLDEN.glob("measured-schema-*"))
NOW, NOW_MEASURED = GOLDEN / f"run-schema-{SCHEMA}", GOLDEN / f"measured-schema-{MEASURED}"


def raw(folder: Path) -> dict[str, dict[str, Any]]:
    """The files as plain JSON, by key."""
    return {path.stem: json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))}


def table(made: Report, title: str) -> Table:
    return next(one for one in made.tables if one.title.startswith(title))


def test_the_current_schemas_have_golden_files_and_all_of_them_are_small() -> None:
    assert NOW in RUNS
    assert NOW_MEASURED in MEASURES
    cells = [path for folder in (*RUNS, *MEASURES) for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in cells) < 200_000


# --- runs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", RUNS, ids=lambda path: path.name)
def test_every_file_of_a_run_is_read(folder: Path) -> None:
    store = Store(folder)
    found, problems = store.records()
    assert problems == []
    assert [one.key for one in found] == sorted(raw(folder / "cells"))
    assert {(one.kind, one.status) for one in found} >= {
        ("training", "ok"),
        ("training", "failed"),
        ("training", "skipped"),
        ("retrieval", "ok"),
        ("retrieval", "skipped"),
        ("control", "ok"),
    }
    assert {one.regression for one in found if one.status == "ok"} == {False, True}
    planned = {cell["key"] for cell in store.read_run()["cells"]}
    assert planned == {one.key for one in found}
    assert all(one.reason for one in found if one.status != "ok")


def test_nothing_of_a_record_is_lost_or_added() -> None:
    """Else the schema has changed, and needs another version."""
    for key, content in raw(NOW / "cells").items():
        assert Store(NOW).read(key).model_dump(mode="json") == content  # type: ignore[union-attr]


@pytest.mark.parametrize("folder", RUNS, ids=lambda path: path.name)
def test_the_arrays_beside_the_records_give_their_scores(folder: Path) -> None:
    store, cells = Store(folder), raw(folder / "cells")
    arrays = {key: store.arrays(key) for key in cells}
    seen = 0
    for key, cell in cells.items():
        assert bool(arrays[key]) == (cell["status"] == "ok")
        if cell["status"] != "ok":
            continue
        labels = arrays[_student(cell)]
        name, told = _answers(cell)
        for split in ("held_out", *cell["tests"]):
            answer, truth = arrays[key][f"{name}.{split}"], labels[f"labels.{split}"]
            assert answer.shape[0] == truth.shape[0]
            if cell["regression"]:
                plain = np.corrcoef(answer[:, 0], truth)[0, 1]
            else:
                plain = np.mean(answer.argmax(axis=1) == truth)
            assert told[split][cell["select_on"]] == pytest.approx(plain, abs=1e-6), (key, split)
            seen += 1
    assert seen >= 2 * 10


def _student(cell: dict[str, Any]) -> str:
    stands_on = cell["retrieval"] or cell["controls"]
    return str(stands_on["training_key"] if stands_on else cell["key"])


def _answers(cell: dict[str, Any]) -> tuple[str, dict[str, dict[str, float]]]:
    """Name of the cell's outputs, and the scores that the record gives them."""
    if cell["kind"] == "training":
        return "logits", cell["training"]["scores"]
    if cell["kind"] == "retrieval":
        return "outputs", cell["retrieval"]["chosen"]["scores"]
    return "mixed", cell["controls"]["second_head"]["mixed"]["scores"]


@pytest.fixture(scope="module")
def report() -> Report:
    return of_run(RunInputs(load(Store(NOW))))


def test_the_report_has_every_section_that_the_cells_can_fill(report: Report) -> None:
    names = {part.section.heading for part in report.shown}
    wanted = {"scores", "comparisons", "off-on", "retrieval", "ann", "k", "beta-tau"}
    wanted |= {"effort", "training", "cells", "provenance"}
    assert names >= wanted
    text = markdown.render(report)
    for one in report.tables:
        assert markdown.escape(one.title) in text
    for cell in raw(NOW / "cells").values():
        if cell["status"] != "ok":
            assert cell["key"] in text


@pytest.mark.parametrize("version", [SCHEMA + 1, SCHEMA - 1, 0, "2", None])
def test_another_schema_is_named_and_passed_over(version: object, tmp_path: Path) -> None:
    folder = Path(copytree(NOW, tmp_path / "run"))
    keys = [cell["key"] for cell in raw(NOW / "cells").values() if cell["kind"] == "retrieval"]
    path = folder / "cells" / f"{keys[0]}.json"
    content = json.loads(path.read_bytes()) | {"schema_version": version}
    path.write_text(json.dumps(content), encoding="utf-8")
    made = of_run(RunInputs(load(Store(folder))))
    (unusable,) = table(made, "Unusable files").rows
    assert unusable[0] == path.name
    assert f"schema version {version}, this is {SCHEMA}" in unusable[1]
    told = {cell["key"]: cell["status"] for cell in made.data["cells"]}
    assert told.pop(keys[0]) == "unreadable"
    assert told == {k: c["status"] for k, c in raw(NOW / "cells").items() if k != keys[0]}


# --- measurements --------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", MEASURES, ids=lambda path: path.name)
def test_every_file_of_a_measurement_is_read(folder: Path) -> None:
    store = Measurements(folder)
    found, problems = store.records()
    assert problems == []
    assert {(one.kind, one.status) for one in found} >= {
        ("latency", "ok"),
        ("latency", "failed"),
        ("memory", "ok"),
    }
    kinds: tuple[Kind, ...] = ("latency", "memory")
    plans = [store.read_plan(kind) for kind in kinds]
    keys = {key for plan in plans if isinstance(plan, PlanFile) for key in plan.cells}
    assert keys == {one.key for one in found}
    past = history.read(folder / HISTORY)
    assert past.problems == ()
    assert [one.limit for one in past.entries] == [1.5, 1.5, 0.1, 0.1]
    assert {one.verdict for one in past.entries} >= {"holds", "fails"}


def test_nothing_of_a_measurement_is_lost_or_added() -> None:
    for key, content in raw(NOW_MEASURED / "measurements").items():
        found = Measurements(NOW_MEASURED).read(key)
        assert found.model_dump(mode="json") == content  # type: ignore[union-attr]
    lines = (NOW_MEASURED / HISTORY).read_text(encoding="utf-8").splitlines()
    past = history.read(NOW_MEASURED / HISTORY)
    assert [one.line for one in past.entries] == lines


@pytest.mark.parametrize("folder", MEASURES, ids=lambda path: path.name)
def test_the_measured_figures_are_those_of_the_raw_nanoseconds(folder: Path) -> None:
    (found,) = [one for one in Measurements(folder).latency() if one.result is not None]
    assert found.result is not None
    arrays = Measurements(folder).arrays(found.key)
    for name, told in (("forward", found.result.forward), ("added", found.result.added)):
        times = [a.ravel() for n, a in arrays.items() if re.fullmatch(rf"\d+\.{name}", n)]
        assert len(times) == found.result.processes
        p50, p99 = np.percentile(np.concatenate(times) / 1e6, [50, 99])
        assert (told.p50, told.p99) == pytest.approx((p50, p99))


@pytest.mark.parametrize("version", [MEASURED + 1, MEASURED - 1])
def test_another_schema_of_measurements_is_named_and_passed_over(
    version: int, tmp_path: Path
) -> None:
    folder = Path(copytree(NOW_MEASURED, tmp_path / "measured"))
    paths = sorted((folder / "measurements").glob("*.json"))
    for path in paths:
        content = json.loads(path.read_bytes()) | {"schema_version": version}
        path.write_text(json.dumps(content), encoding="utf-8")
    made = of_measurements(MeasuredInputs(Measurements(folder)))
    rows = dict(table(made, "Unusable files").rows)
    assert rows.keys() == {path.name for path in paths}
    assert all(f"schema version {version}, this is {MEASURED}" in why for why in rows.values())
    assert "latency" not in {part.section.heading for part in made.shown}
