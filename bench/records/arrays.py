"""Archives of arrays: whatever a file holds, the answer is its arrays or one reason why not."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from reaugkd.artifacts.atomic import replacing

VERSION_1 = b"\x93NUMPY\x01\x00"
START = len(VERSION_1) + 2
"""Where the header begins, behind its length in two bytes."""


class DamagedArraysError(ValueError):
    """A file that is no whole archive of arrays; the message is the reason, in one line."""


def write(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an npz, whole or not at all.

    Raises:
        OSError: if it cannot be written.
    """
    with replacing(path) as file:
        np.savez_compressed(file, **dict[str, Any](arrays))


def read(path: Path, names: Collection[str] | None = None) -> dict[str, NDArray[Any]]:
    """The arrays in ``path``, or those of them called ``names``; empty if there is no file.

    Raises:
        DamagedArraysError: if the file is damaged or holds something else.
    """
    if not path.is_file():
        return {}
    try:
        with path.open("rb") as file:
            return _arrays(file, names)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DamagedArraysError(reason) from error


def _arrays(file: IO[bytes], names: Collection[str] | None) -> dict[str, NDArray[Any]]:
    with ZipFile(file) as archive:
        members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        if any(m.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for m in members.values()):
            raise ValueError("compressed in a way that numpy does not write")
        wanted = [name for name in members if names is None or name in names]
        return {name: _array(archive.read(members[name])) for name in wanted}


def _array(content: bytes) -> NDArray[Any]:
    """An array as ``numpy.save`` writes it.

    Numpy parses each header as Python, most of the time of reading thousands of small files whose
    headers are few: here each is parsed once.
    """
    if not content.startswith(VERSION_1):
        return np.asarray(npy.read_array(BytesIO(content), allow_pickle=False))
    start = START + int.from_bytes(content[START - 2 : START], "little")
    shape, fortran, dtype = _header(content[:start])
    if min(shape, default=0) < 0:
        raise ValueError(f"an array of the shape {shape}")
    values = np.frombuffer(content, dtype, offset=start)
    return values.reshape(shape, order="F" if fortran else "C").copy()


@lru_cache(maxsize=256)
def _header(content: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    stream = BytesIO(content)
    npy.read_magic(stream)
    return npy.read_array_header_1_0(stream)
