"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of ``path`` when the block ends well.

    After a kill, an error or on a full disk ``path`` is as it was before, or not there. Only a
    kill leaves the unfinished file, hidden beside it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)  # half a file is in the way on a full disk
        raise


def open_up(folder: Path) -> None:
    """Give files below ``folder`` that their owner alone may read the permissions of a new file.

    safetensors writes such files whatever the umask is, and a cache or an exported classifier is
    there for a group, or for the user of a service.
    """
    probe = folder / f".{os.getpid()}.tmp"
    probe.touch()
    mode = stat.S_IMODE(probe.stat().st_mode)
    probe.unlink()
    for path in folder.rglob("*"):
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR:
            path.chmod(mode)


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content``, whole or not at all."""
    with replacing(path) as file:
        file.write(content)
