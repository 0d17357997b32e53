"""A folder whose parts are replaced together: a kill leaves the old ones or the new ones.

The new parts are written into a hidden folder beside the old ones. One rename of it decides: from
then on :func:`part` finds the new ones, wherever they lie. Then each is moved to its place. Files
that are no part stay as they are, which exchanging the whole folder would not leave them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from reaugkd.artifacts.atomic import open_up

WORK, DECIDED = ".parts.tmp", ".parts"


@contextmanager
def replacing_parts(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """A new folder whose entries become those of ``folder`` when the block ends well.

    A part of ``names`` that the block does not write is gone afterwards. After an error, a kill or
    on a full disk ``folder`` holds what it held; there has to be room for old and new at once.
    """
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        settle(folder)
        shutil.rmtree(folder / WORK, ignore_errors=True)  # of a save that was killed
        work = folder / WORK
        work.mkdir()
        yield work
        for name in names:
            if not (work / name).exists():
                (work / name).mkdir()  # an empty folder stands for a part that is gone
        open_up(work)
        _sync(work)
        work.rename(folder / DECIDED)
        _sync_one(folder)
    except BaseException:
        shutil.rmtree(folder / WORK, ignore_errors=True)  # half a part is in the way on a full disk
        if is_new and not any(folder.iterdir()):
            folder.rmdir()
        raise
    settle(folder)


def part(folder: Path, name: str) -> Path:
    """Where the part ``name`` of ``folder`` lies: a save may have been killed while moving it.

    Nothing lies there where the folder has no such part.
    """
    decided = folder / DECIDED / name
    if not decided.exists():
        return folder / name
    return decided.with_name(f"{name}.gone") if _is_gone(decided) else decided


def settle(folder: Path) -> None:
    """Move to their places the parts that a killed save had written whole."""
    decided = folder / DECIDED
    if not decided.is_dir():
        return
    for new in sorted(decided.iterdir()):
        place = folder / new.name
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        elif new.is_dir():
            place.unlink(missing_ok=True)
        if _is_gone(new):
            new.rmdir()
        else:
            new.replace(place)
    decided.rmdir()
    _sync_one(folder)


def _is_gone(new: Path) -> bool:
    """Whether what was written is the empty folder that stands for a part that is gone."""
    return new.is_dir() and not any(new.iterdir())


def _sync(folder: Path) -> None:
    """Bring everything below ``folder`` to the disk."""
    for path in (folder, *folder.rglob("*")):
        _sync_one(path)


def _sync_one(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
