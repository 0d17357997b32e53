"""Killed in the middle, a run's report shows what was finished, and resumed it is the same."""

from __future__ import annotations

import signal
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from bench.records.results import load
from bench.records.run import VOLATILE, comparable
from bench.records.store import Store
from bench.report.build import Report, of_run
from bench.report.inputs import RunInputs
from tests.bench import runs
from tests.bench.test_kill import PATIENCE, started, wait_for

TIMES = VOLATILE | {"relative", "stages_seconds", "run", "lead", "headline"}
"""What may differ between two reports of the same cells: times, and what tells them in words."""


def steady(value: Any) -> Any:
    """The data of a report without what may differ."""
    if isinstance(value, dict):
        return {name: steady(item) for name, item in value.items() if name not in TIMES}
    if isinstance(value, list | tuple):
        return [steady(item) for item in value]
    return value


def report(folder: Path) -> Report:
    return of_run(RunInputs(load(Store(folder))))


def assert_same(one: Report, other: Report) -> None:
    assert steady(one.data) == steady(other.data)
    assert [part.section.name for part in one.parts] == [p.section.name for p in other.parts]


@pytest.fixture(scope="module")
def killed(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed by the system after its second cell."""
    folder = tmp_path_factory.mktemp("killed")
    with started(folder) as process:
        wait_for(process, "[2/5")
        process.kill()
        assert process.wait(PATIENCE) == -signal.SIGKILL
    return folder


def test_the_report_of_a_killed_run_is_that_of_its_finished_cells(
    killed: Path, finished: Path, tmp_path: Path
) -> None:
    done = runs.records(killed / "out")
    assert 2 <= len(done) < 5
    whole = runs.records(finished / "out")
    for name, record in done.items():
        assert comparable(record) == comparable(whole[name])
    partly = Path(copytree(finished / "out", tmp_path / "out"))
    for path in (partly / "cells").iterdir():
        if path.stem not in {record.key for record in done.values()}:
            path.unlink()
    made = report(killed / "out")
    assert_same(made, report(partly))
    missing = [cell for cell in made.data["cells"] if cell["status"] == "missing"]
    assert len(missing) == 5 - len(done)


def test_the_report_of_a_killed_run_that_went_on_is_that_of_a_run_in_one_go(
    killed: Path, finished: Path
) -> None:
    done = runs.run(killed)
    assert done.exit_code == 0, done.output
    assert " 0 there already" not in done.output
    assert_same(report(killed / "out"), report(finished / "out"))
