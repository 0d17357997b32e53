"""Laws of replacing parts: all old or all new, whenever the process dies; other files stay."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reaugkd.artifacts.parts import part, replacing_parts, settle

NAMES = ("data", "index", "settings.json")
OLD = {"data/a": b"old", "data/only-old": b"x", "index/i": b"old", "settings.json": b"old"}
NEW = {"data/a": b"new", "settings.json": b"new"}
"""Without an index, and with fewer files."""


def write(folder: Path, files: dict[str, bytes]) -> None:
    with replacing_parts(folder, NAMES) as work:
        for name, content in files.items():
            (work / name).parent.mkdir(exist_ok=True)
            (work / name).write_bytes(content)


def write_half(folder: Path, error: BaseException) -> None:
    with replacing_parts(folder, NAMES) as work:
        (work / "data").write_bytes(b"half")
        raise error


def seen(folder: Path) -> dict[str, bytes]:
    """The files of the parts, as a reader finds them."""
    files = {}
    for name in NAMES:
        place = part(folder, name)
        assert place.is_file() or not place.exists() or any(place.iterdir())
        for path in [place] if place.is_file() else place.rglob("*"):
            files[str(Path(name) / path.relative_to(place))] = path.read_bytes()
    return files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The old parts, and a file that is none."""
    folder = tmp_path / "folder"
    write(folder, OLD)
    (folder / "README.md").write_bytes(b"mine")
    return folder


def assert_settled(folder: Path, files: dict[str, bytes]) -> None:
    assert seen(folder) == files
    tops = {Path(name).parts[0] for name in files}
    assert {path.name for path in folder.iterdir()} == tops | {"README.md"}
    assert (folder / "README.md").read_bytes() == b"mine"


def test_a_part_that_is_not_written_is_gone_and_other_files_stay(folder: Path) -> None:
    write(folder, NEW)
    assert_settled(folder, NEW)
    write(folder, OLD)
    assert_settled(folder, OLD)


def test_an_error_leaves_what_was_there_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    for error in (OSError(errno.ENOSPC, "full"), KeyboardInterrupt()):
        for place in (folder, tmp_path / "not-yet"):
            with pytest.raises(type(error)):
                write_half(place, error)
        assert_settled(folder, OLD)
        assert not (tmp_path / "not-yet").exists()


def test_a_disk_that_is_full_at_the_end_is_an_error_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(folder, NEW)
    assert_settled(folder, OLD)


def killed_at(step: int, do: Callable[[], None]) -> bool:
    """Whether a child that does it died by SIGKILL before its change number ``step`` of files."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    steps = 0

    def counted(change: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*words: Any, **more: Any) -> Any:
            nonlocal steps
            if steps == step:
                os.kill(os.getpid(), signal.SIGKILL)
            steps += 1
            return change(*words, **more)

        return counting

    for owner, name in (
        *((Path, name) for name in ("rename", "replace", "rmdir", "write_bytes")),
        (shutil, "rmtree"),
    ):
        setattr(owner, name, counted(getattr(owner, name)))
    try:
        do()
    finally:
        os._exit(0)


def test_a_kill_at_any_step_leaves_all_old_or_all_new(folder: Path, tmp_path: Path) -> None:
    """Also a reader that may not write sees that, and whoever saves next puts it in order."""
    outcomes = []
    for step in range(99):
        place = tmp_path / f"{step}"
        shutil.copytree(folder, place)
        if not killed_at(step, lambda place=place: write(place, NEW)):
            assert_settled(place, NEW)
            break
        outcomes.append(seen(place) == NEW)
        assert seen(place) in (OLD, NEW)
        if outcomes[-1]:
            killed_at(1, lambda place=place: settle(place))
            assert seen(place) == NEW
        write(place, OLD)
        assert_settled(place, OLD)
    assert step > 7
    assert outcomes == sorted(outcomes)  # there is one moment from which it is the new one
    assert {True, False} <= {*outcomes}
