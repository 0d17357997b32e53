"""Reading what a run or a measurement left: its JSON records and the arrays beside them.

Whatever a file holds, the answer is its content or one reason why it cannot be used.
"""

from __future__ import annotations

import json
import struct
import tokenize
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from reaugkd.errors import UserError

Found = TypeVar("Found", bound=BaseModel)

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


@dataclass(frozen=True)
class Problem:
    """A file that could not be used, and why."""

    path: Path
    reason: str


class StoreError(UserError):
    """A folder of results cannot be written, or what lies there cannot be read."""


def content_of(path: Path) -> Any:
    """The JSON in ``path``.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def record_of(
    path: Path, *, schema: int, what: str, check: Callable[[Any], Found]
) -> Found | Problem:
    """The record in ``path``, or why its file cannot be used.

    Args:
        path: of the file; its stem is the key of the record.
        schema: the version that is understood.
        what: a record is, in words, e.g. ``a record``.
        check: makes the record of the content, or raises a ``ValidationError``.
    """
    try:
        content = content_of(path)
    except (OSError, ValueError) as error:
        return Problem(path, f"not readable as JSON ({error})")
    if not isinstance(content, dict) or "schema_version" not in content:
        return Problem(path, f"not {what} of this project")
    if content["schema_version"] != schema:
        return Problem(path, f"schema version {content['schema_version']}, this is {schema}")
    try:
        record = check(content)
    except ValidationError as error:
        return Problem(path, first_of(error))
    if content["key"] != path.stem:
        return Problem(path, f"holds the record of another cell, {content['key']}")
    return record


def first_of(error: ValidationError) -> str:
    """The first thing that is wrong, in one line."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else str(first["msg"])


def arrays_of(path: Path, names: Collection[str] | None = None) -> dict[str, NDArray[Any]]:
    """The arrays in ``path``, or those of them called ``names``; empty if there is no file.

    Raises:
        StoreError: if the file is damaged or holds something else.
    """
    if not path.is_file():
        return {}
    try:
        return _arrays(path, names)
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise StoreError(f"{path} is damaged: {reason}") from error


def _arrays(path: Path, names: Collection[str] | None) -> dict[str, NDArray[Any]]:
    with path.open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        if not isinstance(archive, NpzFile):
            raise ValueError("not an archive of arrays")
        with archive:
            assert archive.zip is not None  # it is open
            if any(one.compress_type not in METHODS for one in archive.zip.filelist):
                raise ValueError("compressed in a way that numpy does not write")
            wanted = [name for name in archive.files if names is None or name in names]
            found = {name: archive[name] for name in wanted}
    for name, array in found.items():
        if not isinstance(array, np.ndarray):  # numpy gives the bytes of what is no array
            raise ValueError(f"{name} is no array")
    return found
