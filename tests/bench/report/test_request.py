"""Laws of a page that goes on: it is asked for again while anything below it is still to come."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.records.measurements import Measurements, PlanFile
from bench.report import select
from bench.report.request import Request
from tests.bench.measure import judged
from tests.bench.report import factory


def measured(folder: Path, *keys: str) -> Measurements:
    store = Measurements(folder)
    store.create()
    store.write_plan(
        PlanFile(kind="latency", command="bench latency", cells={key: key for key in keys})
    )
    return store


@pytest.mark.parametrize("where", ["alone", "in the run", "beside it"])
def test_measurements_that_are_still_to_come_are_waited_for(where: str, tmp_path: Path) -> None:
    run = factory.store(tmp_path / "run", factory.matrix([0])).folder
    folder = run if where == "in the run" else tmp_path / "measured"
    store = measured(folder, "c1", "f1")
    request = Request(folder) if where != "beside it" else Request(run, beside=(folder,))
    assert request.make()[1].unfinished
    store.write(judged.record(key="c1"))
    assert request.make()[1].unfinished
    store.write(judged.failed("no", key="f1"))  # it will not come again by itself
    assert not request.make()[1].unfinished


def test_cells_of_a_run_are_waited_for_whatever_is_shown(tmp_path: Path) -> None:
    whole = factory.matrix([0])
    shown = select.parse(["scores"])
    for records, going_on in ((whole[1:], True), (whole, False)):
        folder = factory.store(tmp_path / str(going_on), records, whole).folder
        for request in (Request(folder), Request(folder, selection=shown)):
            assert [report.unfinished for report in request.make()] == [going_on, going_on]
