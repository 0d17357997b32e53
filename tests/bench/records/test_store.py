"""Every store: what is written is read back, damage is named, a full disk loses nothing."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from bench.records.frozen import KeyedRecord
from bench.records.measurements import Measurements, PlanFile
from bench.records.store import Problem, RecordStore, Store, StoreError
from tests.bench.measure import judged
from tests.bench.report import factory

ARRAYS = {"logits.dev": np.arange(6, dtype=np.float32).reshape(3, 2), "0.seconds": np.array(3)}

FIRST, SECOND = factory.training(seed=0), factory.training(seed=1)
TIMED, WEIGHED = judged.record(0.01, 0.02, key="a"), judged.memory("b")

RECORDS: dict[type[RecordStore[Any]], list[KeyedRecord]] = {
    Store: [FIRST, SECOND, factory.retrieval()],
    Measurements: [TIMED, WEIGHED],
}


@pytest.fixture(params=RECORDS, ids=lambda store: store.__name__)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> RecordStore[Any]:
    made: RecordStore[Any] = request.param(tmp_path / "out")
    made.create()
    return made


def records(store: RecordStore[Any]) -> list[KeyedRecord]:
    return sorted(RECORDS[type(store)], key=lambda record: record.key)


def full(*_: Any, **__: Any) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def files(store: RecordStore[Any]) -> set[str]:
    return {path.name for path in store.folder.rglob("*") if path.is_file()}


def changed(text: str, **fields: Any) -> str:
    content = json.loads(text) | fields
    return json.dumps({name: value for name, value in content.items() if value is not ...})


def test_what_is_written_is_read_back_in_the_order_of_the_keys(store: RecordStore[Any]) -> None:
    made = records(store)
    for record in reversed(made):
        store.write(record, ARRAYS)
        assert store.read(record.key) == record
    assert store.records() == (made, [])
    for name, array in store.arrays(made[0].key).items():
        assert array.dtype == ARRAYS[name].dtype
        assert np.array_equal(array, ARRAYS[name])
    assert set(store.arrays(made[0].key, ["0.seconds", "none"])) == {"0.seconds"}
    assert files(store) == {f"{r.key}.{ending}" for r in made for ending in ("json", "npz")}


def test_what_is_not_there_is_not_an_error(store: RecordStore[Any], tmp_path: Path) -> None:
    nowhere = type(store)(tmp_path / "nowhere")
    assert store.read("nothing") is None
    assert store.arrays("nothing") == {}
    assert store.records() == nowhere.records() == ([], [])
    assert (type(store).at(store.folder), type(store).at(nowhere.folder)) == (True, False)


def test_writing_again_replaces_the_record_and_its_arrays(store: RecordStore[Any]) -> None:
    record = records(store)[0]
    again = record.model_copy(update={"reason": "another"})
    store.write(record, ARRAYS)
    store.write(again, {"x": np.ones(2)})
    assert store.read(record.key) == again
    assert set(store.arrays(record.key)) == {"x"}


def test_a_record_appears_only_after_its_arrays(
    store: RecordStore[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    record, seen = records(store)[0], []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.append((target.suffix, set(files(store))))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    store.write(record, ARRAYS)
    assert [suffix for suffix, _ in seen] == [".npz", ".json"]
    assert f"{record.key}.npz" in seen[1][1]
    assert f"{record.key}.json" not in seen[1][1]


DAMAGE: dict[str, tuple[Callable[[str], str], str]] = {
    "truncated": (lambda text: text[: len(text) // 2], "not readable as JSON"),
    "empty": (lambda _: "", "not readable as JSON"),
    "nested too deep": (lambda _: "[" * 100_000, "not readable as JSON"),
    "another JSON": (lambda _: "[1, 2]", "not a "),
    "foreign": (lambda _: '{"name": "x"}', "of this project"),
    "older": (lambda text: changed(text, schema_version=0), "schema version 0"),
    "newer": (lambda text: changed(text, schema_version=3), "version 3"),
    "another kind": (lambda text: changed(text, kind="tuning"), "kind"),
    "a field too many": (lambda text: changed(text, colour="red"), "colour"),
    "a field of another type": (lambda text: changed(text, identity="first"), "identity"),
    "a field too few": (lambda text: changed(text, provenance=...), "provenance"),
    "misnamed": (lambda text: changed(text, key="other"), "another cell, other"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_record_is_a_problem_with_its_reason(kind: str, store: RecordStore[Any]) -> None:
    good, bad = records(store)[:2]
    store.write(good)
    store.write(bad)
    path = store.cells / f"{bad.key}.json"
    damage, reason = DAMAGE[kind]
    path.write_text(damage(path.read_text()))
    problem = store.read(bad.key)
    assert isinstance(problem, Problem)
    assert problem.path == path
    assert reason in problem.reason
    assert "\n" not in problem.reason
    assert store.records() == ([good], [problem])


def test_what_a_killed_process_left_is_nothing_and_bytes_are_a_problem(
    store: RecordStore[Any],
) -> None:
    (store.cells / ".abc.json.123.tmp").write_text('{"schema_ver')
    (store.cells / ".abc.npz.123.tmp").write_bytes(b"PK\x03\x04")
    (store.cells / "x.json").write_bytes(b"\xff\xfe\x00")
    kept, problems = store.records()
    assert (kept, [problem.path.name for problem in problems]) == ([], ["x.json"])
    assert store.read("abc") is None


@pytest.mark.parametrize("left", [0, 3, 100, -40])
def test_damaged_arrays_are_told_with_their_path(left: int, store: RecordStore[Any]) -> None:
    record = records(store)[0]
    store.write(record, ARRAYS)
    path = store.cells / f"{record.key}.npz"
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(StoreError, match=f"{path} is damaged"):
        store.arrays(record.key)


@pytest.mark.parametrize("kind", RECORDS)
def test_a_folder_that_is_a_file_or_below_one_is_told(
    kind: type[RecordStore[Any]], tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for folder in (file, file / "run"):
        with pytest.raises(StoreError, match=f"cannot write results to {folder}"):
            kind(folder).create()
    assert file.read_text() == "mine"


@pytest.mark.parametrize("place", ["os.fsync", "numpy.savez_compressed", "pathlib.Path.replace"])
def test_a_full_disk_is_one_line_and_loses_nothing(
    place: str, store: RecordStore[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, record = records(store)[:2]
    store.write(before, ARRAYS)
    had = files(store)
    with monkeypatch.context() as patch:
        patch.setattr(place, full)
        with pytest.raises(StoreError) as told:
            store.write(record, ARRAYS)
    assert str(told.value) == (
        f"cannot write results to {store.folder}: No space left on device (the disk is full)"
    )
    assert store.records() == ([before], [])
    assert {name for name in files(store) if ".npz" in name} == {n for n in had if ".npz" in n}
    store.write(record, ARRAYS)
    assert store.records() == ([before, record], [])


# --- the plans -----------------------------------------------------------------------------------


def test_a_full_disk_leaves_the_plan_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    store.write_run({"cells": []})
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="disk is full"):
        store.write_run({"cells": [{"key": "x"}]})
    assert store.read_run() == {"cells": []}


def test_the_plan_of_a_run_is_read_back_or_its_damage_told(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StoreError, match=r"no run at .*: expected .*run\.json"):
        store.read_run()
    plan = {"command": "bench run", "cells": [{"key": "x"}]}
    store.write_run(plan)
    assert store.read_run() == plan
    for text in ('{"cells": ', "[]", "{}", '{"cells": 3}', "[" * 100_000):
        (store.folder / "run.json").write_text(text)
        with pytest.raises(StoreError, match="is damaged"):
            store.read_run()


def test_the_plan_of_each_kind_is_read_back_or_its_damage_told(tmp_path: Path) -> None:
    store = Measurements(tmp_path)
    plan = PlanFile(kind="latency", command="bench latency", cells={"b": "second", "a": "first"})
    assert store.read_plan("latency") is None
    store.write_plan(plan)
    kept = store.read_plan("latency")
    assert kept == plan
    assert isinstance(kept, PlanFile)
    assert list(kept.cells) == ["b", "a"]
    assert store.read_plan("memory") is None
    text = plan.model_dump_json()
    broken = (changed(text, cells=["b"]), changed(text, colour="red"), '{"kind": "latency"}')
    for text in (*broken, "{", "[]"):
        (store.folder / "latency.json").write_text(text)
        problem = store.read_plan("latency")
        assert isinstance(problem, Problem)
        assert problem.path.name == "latency.json"
