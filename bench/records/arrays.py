"""Archives of arrays: whatever a file holds, the answer is its arrays or one reason why not."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from reaugkd.artifacts.atomic import replacing


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
            return _arrays(np.load(file, allow_pickle=False), names)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DamagedArraysError(reason) from error


def _arrays(archive: Any, names: Collection[str] | None) -> dict[str, NDArray[Any]]:
    if not isinstance(archive, NpzFile):
        raise ValueError("not an archive of arrays")
    with archive:
        assert archive.zip is not None  # it is open
        if any(e.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for e in archive.zip.filelist):
            raise ValueError("compressed in a way that numpy does not write")
        wanted = [name for name in archive.files if names is None or name in names]
        arrays = {name: archive[name] for name in wanted}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # numpy gives the bytes of what is no array
            raise ValueError(f"{name} is no array")
    return arrays
