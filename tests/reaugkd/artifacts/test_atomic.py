"""Laws of writing: a file is as it was or whole, whatever happens meanwhile."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reaugkd.artifacts.atomic import replacing, write_bytes


def write_half(path: Path, error: BaseException) -> None:
    with replacing(path) as file:
        file.write(b"new")
        raise error


@pytest.mark.parametrize("before", [None, b"old"])
def test_an_error_leaves_what_was_there_and_nothing_else(
    before: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "a"
    if before is not None:
        path.write_bytes(before)
    for error in (OSError(errno.ENOSPC, "full"), ValueError("no"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            write_half(path, error)
        assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == (
            {} if before is None else {"a": before}
        )
    write_bytes(path, b"new")
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == {"a": b"new"}


def test_a_full_disk_at_the_end_is_an_error_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(tmp_path / "a", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_kill_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    code = (
        "import os, pathlib, signal, sys\n"
        "from reaugkd.artifacts.atomic import replacing\n"
        "with replacing(pathlib.Path(sys.argv[1])) as file:\n"
        "    file.write(b'new')\n"
        "    file.flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    (left,) = (one for one in tmp_path.iterdir() if one != path)
    assert left.name.startswith(".")
