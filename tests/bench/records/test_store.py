"""The store: what is written is read back, what is damaged is named, a full disk loses nothing."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from bench.records.run import SCHEMA, Record
from bench.records.store import Problem, Store, StoreError
from tests.bench.report import factory

ARRAYS = {"logits.dev": np.arange(6, dtype=np.float32).reshape(3, 2), "labels.dev": np.arange(3)}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "run")
    made.create()
    return made


def full(*_: Any, **__: Any) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def files(store: Store) -> set[str]:
    return {path.name for path in store.folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("made", [factory.training(), factory.retrieval()])
def test_what_is_written_is_read_back(made: Record, store: Store) -> None:
    store.write(made, ARRAYS)
    assert store.read(made.key) == made
    assert store.records() == ([made], [])
    for name, array in store.arrays(made.key).items():
        assert array.dtype == ARRAYS[name].dtype
        assert np.array_equal(array, ARRAYS[name])
    assert files(store) == {f"{made.key}.json", f"{made.key}.npz"}


def test_what_is_not_there_is_not_an_error(store: Store, tmp_path: Path) -> None:
    assert store.read("nothing") is None
    assert store.arrays("nothing") == {}
    assert store.records() == Store(tmp_path / "nowhere").records() == ([], [])


def test_records_come_in_the_order_of_their_keys(store: Store) -> None:
    made = [factory.training(seed=seed) for seed in (2, 0, 1)]
    for one in made:
        store.write(one)
    assert [one.seed for one in store.records()[0]] == [0, 1, 2]


def test_writing_again_replaces_the_record_and_its_arrays(store: Store) -> None:
    first, second = factory.training(value=0.7), factory.training(value=0.9)
    store.write(first, ARRAYS)
    store.write(second, {"x": np.ones(2)})
    assert store.read(first.key) == second
    assert set(store.arrays(first.key)) == {"x"}


def test_a_record_appears_only_after_its_arrays(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, seen = factory.training(), []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.append((target.suffix, set(files(store))))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    store.write(made, ARRAYS)
    assert [suffix for suffix, _ in seen] == [".npz", ".json"]
    assert f"{made.key}.npz" in seen[1][1]
    assert f"{made.key}.json" not in seen[1][1]


DAMAGE: dict[str, tuple[Callable[[str], str], str]] = {
    "truncated": (lambda text: text[: len(text) // 2], "not readable as JSON"),
    "empty": (lambda _: "", "not readable as JSON"),
    "another JSON": (lambda _: "[1, 2]", "not a record"),
    "foreign": (lambda _: '{"name": "x"}', "not a record"),
    "older": (lambda text: changed(text, schema_version=0), "schema version 0"),
    "newer": (lambda text: changed(text, schema_version=SCHEMA + 1), f"version {SCHEMA + 1}"),
    "a field too many": (lambda text: changed(text, colour="red"), "colour"),
    "a field of another type": (lambda text: changed(text, seed="first"), "seed"),
    "a field too few": (lambda text: changed(text, task=...), "task"),
    "misnamed": (lambda text: changed(text, key="other"), "another cell"),
}


def changed(text: str, **fields: Any) -> str:
    content = json.loads(text) | fields
    return json.dumps({name: value for name, value in content.items() if value is not ...})


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_record_is_a_problem_with_its_reason(kind: str, store: Store) -> None:
    good, bad = factory.training(seed=0), factory.training(seed=1)
    store.write(good)
    store.write(bad)
    path = store.cells / f"{bad.key}.json"
    damage, reason = DAMAGE[kind]
    path.write_text(damage(path.read_text()))
    found = store.read(bad.key)
    assert isinstance(found, Problem)
    assert found.path == path
    assert reason in found.reason
    assert store.records() == ([good], [found])


def test_bytes_that_are_no_text_are_a_problem(store: Store) -> None:
    (store.cells / "x.json").write_bytes(b"\xff\xfe\x00")
    assert [p.path.name for p in store.records()[1]] == ["x.json"]


def test_half_written_files_of_a_killed_process_are_not_records(store: Store) -> None:
    (store.cells / ".abc.json.123.tmp").write_text('{"schema_ver')
    (store.cells / ".abc.npz.123.tmp").write_bytes(b"PK\x03\x04")
    assert store.records() == ([], [])
    assert store.read("abc") is None


@pytest.mark.parametrize("left", [0, 3, 100, -40])
def test_damaged_arrays_are_told_with_their_path(left: int, store: Store) -> None:
    made = factory.training()
    store.write(made, ARRAYS)
    path = store.cells / f"{made.key}.npz"
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(StoreError, match=f"{path} is damaged"):
        store.arrays(made.key)


def test_a_flipped_byte_in_arrays_is_told(store: Store) -> None:
    made = factory.training()
    store.write(made, {"x": np.random.default_rng(0).normal(size=500)})
    path = store.cells / f"{made.key}.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))
    with pytest.raises(StoreError, match="damaged"):
        store.arrays(made.key)


def test_a_folder_that_is_a_file_or_below_one_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for folder in (file, file / "run"):
        with pytest.raises(StoreError, match=f"cannot write results to {folder}"):
            Store(folder).create()
    assert file.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="Permission denied"):
        Store(tmp_path / "run").create()


@pytest.mark.parametrize("place", ["os.fsync", "numpy.savez_compressed", "pathlib.Path.replace"])
def test_a_full_disk_is_one_line_and_loses_nothing(
    place: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, made = factory.training(seed=0), factory.training(seed=1)
    store.write(before, ARRAYS)
    had = files(store)
    with monkeypatch.context() as patch:
        patch.setattr(place, full)
        with pytest.raises(StoreError) as found:
            store.write(made, ARRAYS)
    assert str(found.value) == (
        f"cannot write results to {store.folder}: No space left on device (the disk is full)"
    )
    assert store.records() == ([before], [])
    assert {name for name in files(store) if ".npz" in name} == {n for n in had if ".npz" in n}
    store.write(made, ARRAYS)
    assert store.records() == ([before, made], [])


def test_a_full_disk_leaves_the_plan_as_it_was(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write_run({"cells": []})
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="disk is full"):
        store.write_run({"cells": [{"key": "x"}]})
    assert store.read_run() == {"cells": []}


def test_the_plan_is_read_back_or_its_damage_told(store: Store) -> None:
    with pytest.raises(StoreError, match=r"no run at .*: expected .*run\.json"):
        store.read_run()
    plan = {"command": "bench run", "cells": [{"key": "x"}]}
    store.write_run(plan)
    assert store.read_run() == plan
    for text in ('{"cells": ', "[]", "{}", '{"cells": 3}'):
        (store.folder / "run.json").write_text(text)
        with pytest.raises(StoreError, match="is damaged"):
            store.read_run()
