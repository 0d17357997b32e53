"""A disk without room, whichever library noticed it: one line that names the folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from reaugkd.errors import UserError

CODES = frozenset({errno.ENOSPC, errno.EDQUOT})
WORDS = ("no space left on device", "disk quota exceeded", "disk full")
"""What libraries say who have an error of their own (safetensors, tokenizers, Arrow, faiss)."""

ROOM = 1 << 16
"""Bytes that a file system has left unless it is full."""


class DiskFullError(UserError):
    """There is no room on a disk: nothing else can be done there, so a run stops."""


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Tell a full disk as a :class:`DiskFullError` that names ``folder``; other errors pass."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if is_full(error) or not has_room(folder):
            raise DiskFullError(f"disk full: {folder}") from error
        raise


def is_full(error: BaseException) -> bool:
    """Whether an error, or one behind it, says that there is no room.

    >>> is_full(RuntimeError("I/O error: No space left on device (os error 28)"))
    True
    """
    behind: BaseException | None = error
    while behind is not None:
        coded = isinstance(behind, OSError) and behind.errno in CODES
        if coded or any(words in str(behind).lower() for words in WORDS):
            return True
        behind = behind.__cause__ or behind.__context__
    return False


def has_room(folder: Path) -> bool:
    """Whether a little can be written there; some libraries say of a full disk only "failed"."""
    try:
        with TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, ROOM)
    except OSError as error:
        return error.errno not in CODES
    return True


def reserve(path: Path) -> None:
    """Give every byte of a sparse file its place on the disk, before it is mapped into memory.

    Writing to a map for which there is no room ends the process by a signal.

    Raises:
        OSError: if there is no room.
    """
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
