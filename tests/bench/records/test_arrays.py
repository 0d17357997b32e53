"""Archives of arrays: whatever a file holds, the answer is arrays or one line."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.records.arrays import DamagedArraysError, read

ARRAYS = {"logits.dev": np.arange(6, dtype=np.float32).reshape(3, 2), "labels.dev": np.arange(3)}


def npy(header: str) -> bytes:
    """A file of one array with a header of its own and no data."""
    text = header.encode("latin1")
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def described(shape: object) -> str:
    return f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}\n"


def archive(content: bytes, method: int = zipfile.ZIP_STORED, name: str = "x.npy") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as file:
        file.writestr(name, content)
    return made.getvalue()


def saved(save: Callable[..., None], *arrays: Any, **named: Any) -> bytes:
    made = io.BytesIO()
    save(made, *arrays, **named)
    return made.getvalue()


def encrypted(content: bytes) -> bytes:
    """Its directory says that the first entry is."""
    at = content.index(b"PK\x01\x02") + 8
    return content[:at] + bytes([content[at] | 1]) + content[at + 1 :]


ONE = saved(np.save, np.arange(3))
FOREIGN: dict[str, bytes] = {
    "one array": ONE,
    "nothing": b"",
    "words": b"not an archive",
    "words in an archive": archive(b"hello", name="notes.txt"),
    "objects": saved(np.savez, x=np.full(3, None)),
    "lzma": archive(ONE, zipfile.ZIP_LZMA),
    "bzip2": archive(ONE, zipfile.ZIP_BZIP2),
    "encrypted": encrypted(archive(ONE)),
    "a huge shape": archive(npy(described("(10000000000000000,)"))),
    "a shape beyond 64 bits": archive(npy(described(f"({10**30},)"))),
    "a shape below 0": archive(npy(described("(-3,)"))),
    "no data": archive(npy(described("(3,)"))),
    "a header without end": archive(npy("{'descr': (")),
    "a deep header": archive(npy("(" * 5000 + "\n")),
    "another header": archive(npy("{'a': 1}\n")),
    "a header of names": archive(npy("{descr: 3}\n")),
    "another version": archive(b"\x93NUMPY\x09\x00" + bytes(20)),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_no_archive_of_arrays_is_told_in_one_line(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(FOREIGN[kind])
    with pytest.raises(DamagedArraysError) as told:
        read(path)
    assert len(str(told.value).splitlines()) == 1


@pytest.mark.filterwarnings("ignore::UserWarning")  # zipfile and numpy tell what they find odd
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("change", [0x01, 0x20, 0xFF])
def test_no_single_byte_is_more_than_damage(
    save: Callable[..., None], change: int, tmp_path: Path
) -> None:
    path, content = tmp_path / "x.npz", saved(save, **ARRAYS)
    for at in range(len(content)):
        changed = bytearray(content)
        changed[at] ^= change
        path.write_bytes(changed)
        try:
            arrays = read(path)
        except DamagedArraysError:
            continue
        assert all(isinstance(array, np.ndarray) for array in arrays.values())
