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


LAYOUTS = {
    "vectors": ARRAYS,
    "nothing in it": {"x": np.empty((0, 3))},
    "a number": {"x": np.array(3.5)},
    "by columns": {"x": np.asfortranarray(np.arange(6.0).reshape(2, 3))},
    "turned bytes": {"x": np.arange(3, dtype=">i4")},
    "words": {"x": np.array(["a", "bc"])},
    "parts": {"x": np.zeros(2, [("größe", "<f8"), ("σ", "<f4")])},  # of version 3 of the format
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # numpy tells that old ones cannot read it
@pytest.mark.parametrize("kind", LAYOUTS)
def test_arrays_are_those_that_numpy_reads(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, **dict[str, Any](LAYOUTS[kind]))
    arrays = read(path)
    with np.load(path) as expected:
        assert list(arrays) == expected.files
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, expected[name], strict=True)
            array[...] = array[::-1] if array.ndim else array  # they may be changed


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
