"""The store of measurements: read back whole, damage named, a full disk loses nothing."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from bench.records.measurement import SCHEMA, MemoryRecord, MemoryResult
from bench.records.measurements import Measurements, PlanFile
from bench.records.store import Problem, StoreError
from tests.bench.measure import judged
from tests.bench.report.factory import provenance

ARRAYS = {"0.forward": np.arange(6, dtype=np.int64).reshape(2, 3), "0.environment": np.array("{}")}


@pytest.fixture
def store(tmp_path: Path) -> Measurements:
    made = Measurements(tmp_path / "out")
    made.create()
    return made


def memory(key: str = "m") -> MemoryRecord:
    sizes = dict.fromkeys(("formula", "serialized", "rss_growth", "mapped", "peak_growth"), 10)
    return MemoryRecord(
        key=key,
        identity={},
        status="ok",
        base="wnli",
        size=635,
        dim=768,
        classes=2,
        generated=True,
        backend="exact",
        k=10,
        result=MemoryResult(**sizes, load_seconds=0.1),
        provenance=provenance(),
    )


def test_both_kinds_are_written_and_read_back_in_the_order_of_their_keys(
    store: Measurements,
) -> None:
    latency = judged.record(0.01, 0.02, key="l")
    for one in (memory(), latency):
        store.write(one, ARRAYS)
    assert store.read() == ([latency, memory()], [])
    assert (store.latency(), store.memory()) == ([latency], [memory()])
    assert (store.get("l"), store.get("m"), store.get("x")) == (latency, memory(), None)
    read = store.arrays("l")
    assert all(np.array_equal(read[name], array) for name, array in ARRAYS.items())
    assert store.arrays("x") == {}
    assert {path.name for path in store.cells.iterdir()} == {"l.json", "l.npz", "m.json", "m.npz"}


def test_a_folder_says_whether_it_holds_measurements(store: Measurements, tmp_path: Path) -> None:
    assert Measurements.at(store.folder)
    assert not Measurements.at(tmp_path)
    assert Measurements(tmp_path / "nowhere").read() == ([], [])


DAMAGE: dict[str, tuple[Callable[[str], str], str]] = {
    "truncated": (lambda text: text[: len(text) // 2], "not readable as JSON"),
    "empty": (lambda _: "", "not readable as JSON"),
    "another JSON": (lambda _: "[1]", "not a measurement"),
    "foreign": (lambda _: '{"name": "x"}', "not a measurement"),
    "older": (lambda text: changed(text, schema_version=0), "schema version 0"),
    "newer": (lambda text: changed(text, schema_version=SCHEMA + 1), f"version {SCHEMA + 1}"),
    "another kind": (lambda text: changed(text, kind="training"), "training"),
    "a field too many": (lambda text: changed(text, colour="red"), "colour"),
    "a field too few": (lambda text: changed(text, cell=...), "cell"),
    "a field of another type": (lambda text: changed(text, limit="low"), "limit"),
    "misnamed": (lambda text: changed(text, key="other"), "another cell, other"),
}


def changed(text: str, **fields: Any) -> str:
    content = json.loads(text) | fields
    return json.dumps({name: value for name, value in content.items() if value is not ...})


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_record_is_named_and_passed_over(kind: str, store: Measurements) -> None:
    good, bad = judged.record(0.01, 0.02, key="a"), judged.record(0.01, 0.02, key="b")
    for one in (good, bad):
        store.write(one)
    path = store.cells / "b.json"
    damage, reason = DAMAGE[kind]
    path.write_text(damage(path.read_text()))
    found = store.get("b")
    assert isinstance(found, Problem)
    assert found.path == path
    assert reason in found.reason
    assert "\n" not in found.reason
    assert store.read() == ([good], [found])


def test_bytes_that_are_no_text_are_a_problem_and_half_written_files_are_nothing(
    store: Measurements,
) -> None:
    (store.cells / "x.json").write_bytes(b"\xff\xfe\x00")
    (store.cells / ".y.json.123.tmp").write_text('{"schema_ver')
    records, problems = store.read()
    assert (records, [problem.path.name for problem in problems]) == ([], ["x.json"])


@pytest.mark.parametrize("left", [0, 3, 100, -40])
def test_damaged_arrays_are_told_with_their_path(left: int, store: Measurements) -> None:
    store.write(memory(), ARRAYS)
    path = store.cells / "m.npz"
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(StoreError, match=f"{path} is damaged"):
        store.arrays("m")


def full(*_: Any, **__: Any) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("place", ["os.fsync", "numpy.savez_compressed", "pathlib.Path.replace"])
def test_a_full_disk_is_one_line_and_loses_nothing(
    place: str, store: Measurements, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(memory("a"), ARRAYS)
    with monkeypatch.context() as patch:
        patch.setattr(place, full)
        with pytest.raises(StoreError, match="the disk is full"):
            store.write(memory("b"), ARRAYS)
    assert store.read() == ([memory("a")], [])
    store.write(memory("b"), ARRAYS)
    assert [record.key for record in store.read()[0]] == ["a", "b"]


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(StoreError, match=f"cannot write results to {file}"):
        Measurements(file).create()
    assert file.read_text() == "mine"


def test_the_plan_of_each_kind_is_read_back_or_its_damage_told(store: Measurements) -> None:
    plan = PlanFile(kind="latency", command="bench latency", cells={"b": "second", "a": "first"})
    assert store.read_plan("latency") is None
    store.write_plan(plan)
    read = store.read_plan("latency")
    assert read == plan
    assert isinstance(read, PlanFile)
    assert list(read.cells) == ["b", "a"]
    assert store.read_plan("memory") is None
    broken = changed(plan.model_dump_json(), cells=["b"])
    for text in (
        broken,
        "{",
        "[]",
        '{"kind": "latency"}',
        changed(plan.model_dump_json(), colour="red"),
    ):
        (store.folder / "latency.json").write_text(text)
        found = store.read_plan("latency")
        assert isinstance(found, Problem)
        assert found.path.name == "latency.json"
