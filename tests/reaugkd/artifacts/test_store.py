"""The artefact store: built once, resumed, shared, never used damaged."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import stat
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from reaugkd.artifacts.store import MANIFEST, SCRATCH, ArtifactStore, write_json
from reaugkd.errors import UserError
from reaugkd.reporter import Silent
from tests.reaugkd.retrieval.test_classifier import classifier


class Heard(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def build(folder: Path) -> dict[str, Any]:
    (folder / "data.txt").write_text("content")
    return {"answer": 42}


def refuse(folder: Path) -> None:
    raise AssertionError("built again")


def test_built_once_then_found(tmp_path: Path) -> None:
    first = ArtifactStore(tmp_path).get("thing", {"a": 1}, build)
    again = ArtifactStore(tmp_path).get("thing", {"a": 1}, refuse)
    assert (first.reused, again.reused) == (False, True)
    assert again.path == first.path
    assert again.facts == {"answer": 42}
    assert (again.path / "data.txt").read_text() == "content"


def test_another_identity_is_another_artifact(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    keys = {store.get("thing", {"a": n}, build).key for n in range(3)}
    assert len(keys | {store.get("other", {"a": 0}, build).key}) == 4


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "data.txt").write_text("contenT"),
        lambda folder: (folder / "data.txt").unlink(),
        lambda folder: (folder / MANIFEST).write_text('{"identity": '),
        lambda folder: (folder / MANIFEST).unlink(),
        lambda folder: (folder / MANIFEST).write_text(json.dumps([1])),
    ],
    ids=["changed", "missing", "truncated manifest", "no manifest", "foreign manifest"],
)
def test_damaged_artifact_is_named_and_rebuilt(tmp_path: Path, damage: Any) -> None:
    damage(ArtifactStore(tmp_path).get("thing", {}, build).path)
    heard = Heard()
    mended = ArtifactStore(tmp_path, heard).get("thing", {}, build)
    assert not mended.reused
    assert (mended.path / "data.txt").read_text() == "content"
    assert any(str(mended.path) in note and "damaged" in note for note in heard.notes)


def test_failed_build_leaves_its_work_for_the_next(tmp_path: Path) -> None:
    def half(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise RuntimeError("killed")

    def rest(folder: Path) -> dict[str, Any]:
        return {"resumed": (folder / "half").exists()}

    with pytest.raises(RuntimeError, match="killed"):
        ArtifactStore(tmp_path).get("thing", {}, half)
    assert ArtifactStore(tmp_path).get("thing", {}, rest).facts == {"resumed": True}


def _slow_build(root: Path, log: Path) -> None:
    def slow(folder: Path) -> None:
        with log.open("a") as file:
            file.write("built\n")
        time.sleep(0.5)

    ArtifactStore(root).get("thing", {}, slow)


def test_two_processes_build_once(tmp_path: Path) -> None:
    context, log = multiprocessing.get_context("fork"), tmp_path / "log"
    workers = [context.Process(target=_slow_build, args=(tmp_path / "s", log)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert log.read_text() == "built\n"


@pytest.mark.parametrize(("umask", "mode"), [(0o002, 0o664), (0o022, 0o644), (0o077, 0o600)])
def test_an_artifact_is_for_whom_the_umask_says(umask: int, mode: int, tmp_path: Path) -> None:
    """Also what safetensors writes, for its owner alone."""

    def save(folder: Path) -> None:
        (folder / "deep").mkdir()
        save_file({"x": np.zeros(3)}, folder / "deep" / "x.safetensors")

    before = os.umask(umask)
    try:
        path = ArtifactStore(tmp_path).get("thing", {}, save).path
        classifier().save_pretrained(tmp_path / "classifier")
    finally:
        os.umask(before)
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert path / "deep" / "x.safetensors" in files
    assert {(p.name, stat.S_IMODE(p.stat().st_mode)) for p in files} == {
        (p.name, mode) for p in files
    }


def test_root_that_is_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write to the cache"):
        ArtifactStore(tmp_path / "file").get("thing", {}, build)


def test_write_json_leaves_no_temporary_and_refuses_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 1}


def test_killed_between_the_manifest_and_the_rename_it_is_not_built_again(tmp_path: Path) -> None:
    done = ArtifactStore(tmp_path).get("thing", {}, build)
    done.path.rename(done.path.with_name(f"{done.key}.work"))
    again = ArtifactStore(tmp_path).get("thing", {}, refuse)
    assert again.facts == {"answer": 42}
    assert (again.path / "data.txt").read_text() == "content"


def test_what_serves_resuming_is_not_part_of_the_artifact(tmp_path: Path) -> None:
    def with_scratch(folder: Path) -> None:
        (folder / SCRATCH).mkdir()
        (folder / SCRATCH / "state").touch()
        (folder / ".data.json.17.tmp").touch()  # of a write that was killed
        build(folder)

    made = ArtifactStore(tmp_path).get("thing", {}, with_scratch)
    assert sorted(path.name for path in made.path.iterdir()) == ["data.txt", MANIFEST]


def test_full_disk_is_a_clear_error(tmp_path: Path) -> None:
    def full(folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match="disk full"):
        ArtifactStore(tmp_path).get("thing", {}, full)
