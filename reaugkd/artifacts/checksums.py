"""The checksums of a folder's files: one that is changed, missing or added is named.

They tell damage and careless edits, not forgery: whoever writes the files can write these too.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from reaugkd.artifacts import sealed
from reaugkd.artifacts.parts import part
from reaugkd.artifacts.store import checksum, write_json
from reaugkd.errors import UserError

FILE = "checksums.json"


def write(folder: Path, names: Sequence[str], payloads: Collection[str] = ()) -> None:
    """Write size and SHA-256 of every file of ``folder`` that is an entry of ``names``, or below.

    ``payloads`` are files with a manifest of :mod:`reaugkd.artifacts.sealed` beside them, by their
    paths in the folder: it knows their checksums already.
    """
    files = {
        name: {"bytes": path.stat().st_size, "sha256": _digest(name, path, payloads)}
        for name, path in _files(folder, names)
    }
    write_json(folder / FILE, {"files": files})


def verify(folder: Path, names: Sequence[str], payloads: Collection[str] = ()) -> None:
    """Compare the files of ``folder`` with what :func:`write` wrote, with the same arguments.

    Hidden files do not count. Payloads are not read: their size is compared, and the checksum with
    that of their manifest, which :func:`reaugkd.artifacts.sealed.read` holds them to.

    Raises:
        UserError: names the first file that is changed, truncated, missing or additional, or the
            list itself where it is none or names something outside of the folder.
    """
    path = part(folder, FILE)
    stated = _read(path, names)
    present = dict(_files(folder, names))
    for name in stated:
        if name not in present:
            raise UserError(f"{folder / name} does not exist, but {path.name} names it")
    for name, file in present.items():
        if name not in stated:
            raise UserError(f"{file} was not saved with the others: {path.name} does not name it")
        size, digest = stated[name]
        if file.stat().st_size != size:
            raise UserError(f"{file} is damaged: {file.stat().st_size} bytes, not {size}")
        if _digest(name, file, payloads) != digest:
            raise UserError(f"{file} is damaged: its checksum differs from that in {path.name}")


def is_inside(name: str) -> bool:
    """Whether ``name`` is the plain path of a file below a folder, whatever the system.

    >>> [is_inside(name) for name in ("a/b.json", "../b", "/etc/passwd", "a//b", "c:b", "")]
    [True, False, False, False, False, False]
    """
    path = PurePosixPath(name)
    if not path.parts or str(path) != name or any(sign in name for sign in "\\:\0"):
        return False
    return not path.is_absolute() and ".." not in path.parts


def _files(folder: Path, names: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Name in the folder and place of every file that is not hidden."""
    for name in names:
        place = part(folder, name)
        if place.is_file():
            yield name, place
        elif place.is_dir():
            for path in sorted(place.rglob("*")):
                below = path.relative_to(place)
                if path.is_file() and not any(step.startswith(".") for step in below.parts):
                    yield f"{name}/{below.as_posix()}", path


def _digest(name: str, path: Path, payloads: Collection[str]) -> str:
    if name in payloads:
        return str(sealed.peek(path.parent, path.name)["payload"]["sha256"])
    return checksum(path)


def _read(path: Path, names: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Size and checksum by name."""
    try:
        files: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["files"]
        stated = {name: (int(s["bytes"]), str(s["sha256"])) for name, s in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is no list of checksums: {error}") from error
    for name in stated:
        if not is_inside(name) or name.partition("/")[0] not in names:
            raise UserError(f"{path} names {name!r}, which is no file of this folder")
    return stated
