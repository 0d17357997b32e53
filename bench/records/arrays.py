"""Archives of arrays: whatever a file holds, the answer is its arrays or one reason why not."""

from __future__ import annotations

import struct
import tokenize
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from reaugkd.artifacts.atomic import replacing

METHODS = (ZIP_STORED, ZIP_DEFLATED)
"""How numpy compresses; what else zipfile knows fails with errors of each method's own."""

_DAMAGE = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    OverflowError,
    MemoryError,  # a header that names a huge shape
    RuntimeError,  # an entry that is encrypted, a header nested too deep
    SyntaxError,
    BadZipFile,
    zlib.error,
    struct.error,
    tokenize.TokenError,
)
"""What numpy and zipfile raise for files that are truncated, altered or somebody else's."""


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
        return _read(path, names)
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DamagedArraysError(reason) from error


def _read(path: Path, names: Collection[str] | None) -> dict[str, NDArray[Any]]:
    with path.open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, NpzFile):
            raise ValueError("not an archive of arrays")
        with archive:
            assert archive.zip is not None  # it is open
            if any(entry.compress_type not in METHODS for entry in archive.zip.filelist):
                raise ValueError("compressed in a way that numpy does not write")
            wanted = [name for name in archive.files if names is None or name in names]
            arrays = {name: archive[name] for name in wanted}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # numpy gives the bytes of what is no array
            raise ValueError(f"{name} is no array")
    return arrays
