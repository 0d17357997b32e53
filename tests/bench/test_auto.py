"""``bench run --ann auto``: the choice falls at planning, and a cell is of what was chosen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.cell import Cell
from reaugkd.errors import UserError
from tests import calibrations
from tests.bench import runs


@pytest.fixture(autouse=True)
def calibrated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reaugkd.retrieval.ann.auto.calibrate.measure", calibrations.measure)


def retrievals(folder: Path, *specs: str) -> list[Cell]:
    planned = runs.plan(folder / "cache", retrieval__ann=list(specs))
    return [p.cell for p in planned if p.cell.kind == "retrieval"]


def test_a_cell_of_auto_is_the_cell_of_the_backend_it_stands_for(tmp_path: Path) -> None:
    (chosen,) = retrievals(tmp_path, "auto")
    (named,) = retrievals(tmp_path, "hnswlib")
    assert (chosen.key, chosen.identity) == (named.key, named.identity)
    assert (chosen.backend, chosen.asked) == ("hnswlib", "auto")
    assert named.asked is None
    assert "auto" not in json.dumps(chosen.identity)
    assert chosen.summary()["asked"] == "auto"


def test_another_machine_plans_another_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here,) = retrievals(tmp_path / "here", "auto")
    slow = {"exact": lambda n, b: 1.0 + 1e-3 * n, "hnswlib": lambda n, b: 1e3 * n**0.3}
    monkeypatch.setattr(
        "reaugkd.retrieval.ann.auto.calibrate.measure",
        lambda m, *_: calibrations.calibration(m.dim, m.threads, slow),
    )
    (there,) = retrievals(tmp_path / "there", "auto")
    assert (here.backend, there.backend) == ("hnswlib", "exact")
    assert here.key != there.key


def test_what_auto_stands_for_is_planned_once(tmp_path: Path) -> None:
    cells = retrievals(tmp_path, "exact", "hnswlib", "auto")
    assert [(c.backend, c.asked) for c in cells] == [("exact", None), ("hnswlib", None)]


def test_a_batch_that_is_none_shows_before_anything_trains(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="auto:x: after the colon stands the batch"):
        retrievals(tmp_path, "auto:x")


def test_a_run_with_auto_records_both(finished: Path, tmp_path: Path) -> None:
    file = finished / "small.toml"
    places = ["--config", file, "--cache", finished / "cache", "--out", tmp_path / "out"]
    done = runs.bench("run", *places, "--ann", "auto")
    assert done.exit_code == 0, done.output
    record = runs.records(tmp_path / "out")["reaugkd hnswlib projected soft"]
    assert record.status == "ok"
    assert record.retrieval is not None
    assert record.retrieval.backend == "hnswlib"
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["config"]["retrieval"]["ann"] == ["auto"]
    (cell,) = [c for c in run["cells"] if c["kind"] == "retrieval"]
    assert (cell["backend"], cell["asked"]) == ("hnswlib", "auto")
