"""Fingerprints: short names for the content of files, folders and plain JSON values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

LENGTH = 16  # hex digits kept: 64 bits, ample for the thousands of artefacts of one machine


def of_json(value: Any) -> str:
    """Fingerprint of a plain JSON value without NaN; the order of keys does not matter.

    >>> of_json({"a": 1, "b": [2.0]}) == of_json({"b": [2.0], "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]


def of_texts(texts: Iterable[str]) -> str:
    """Fingerprint of a sequence of strings; where one ends and the next begins matters.

    >>> of_texts(["ab", "c"]) == of_texts(["a", "bc"])
    False
    """
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()[:LENGTH]


def of_files(paths: Iterable[Path]) -> str:
    """Fingerprint of the names and bytes of ``paths`` (not of the folder they lie in)."""
    digest = hashlib.sha256()
    for path in sorted(paths, key=lambda p: p.name):
        digest.update(path.name.encode() + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:LENGTH]


def of_array(array: NDArray[Any]) -> str:
    """Fingerprint of an array's type, shape and values."""
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    digest.update(array.tobytes())
    return digest.hexdigest()[:LENGTH]
