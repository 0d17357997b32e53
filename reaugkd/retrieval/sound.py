"""The folder of a saved classifier is sound: whole, unchanged, and without pickled objects.

Folders of versions that wrote no checksums are read without them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from reaugkd.artifacts import checksums
from reaugkd.artifacts.parts import part
from reaugkd.errors import UserError
from reaugkd.retrieval import knowledge_base
from reaugkd.retrieval.ann.index import PAYLOAD
from reaugkd.retrieval.saved import BASE, CHECKSUMS, INDEX, PARTS, SETTINGS, STUDENT, TEXTS
from reaugkd.retrieval.saved import TEXTS_FILE as TEXTS_PAYLOAD

PICKLED = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".h5", ".npy"})
"""Suffixes of files of weights that may hold pickled objects; a student has none of them."""

SHARDS = "*.safetensors.index.json"

COUNTED = tuple(name for name in PARTS if name != checksums.FILE)
PAYLOADS = frozenset(
    {f"{BASE}/{knowledge_base.FILE}", f"{INDEX}/{PAYLOAD}", f"{TEXTS}/{TEXTS_PAYLOAD}"}
)
"""The large files that are held to their manifests when they are read: not to be hashed twice."""


def seal(folder: Path) -> None:
    """Write the checksums of the parts that lie in ``folder``."""
    checksums.write(folder, COUNTED, PAYLOADS)


def require(folder: Path) -> None:
    """Hold the files of ``folder`` to their checksums, before any of them is loaded.

    Raises:
        UserError: names a file that is changed, truncated, missing or additional, holds weights
            that are no safetensors, or points outside of the folder.
    """
    student = part(folder, STUDENT)
    for path in sorted(student.glob("*")):
        if path.suffix.lower() in PICKLED:
            raise UserError(f"{path} may hold pickled objects: only safetensors are read")
    for path in sorted(student.glob(SHARDS)):
        _require_inside(path)
    if part(folder, checksums.FILE).exists():
        checksums.verify(folder, COUNTED, PAYLOADS)
    elif _read(part(folder, SETTINGS)).get(CHECKSUMS):
        raise UserError(f"{folder / checksums.FILE} does not exist, but the classifier has one")


def _require_inside(path: Path) -> None:
    """Raise unless the list of a student's shards names files beside itself alone."""
    names = _read(path).get("weight_map")
    for name in set(map(str, names.values())) if isinstance(names, dict) else {str(names)}:
        if not checksums.is_inside(name) or "/" in name:
            raise UserError(f"{path} names {name!r}, which is no file beside it")


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path} is not readable as JSON: {error}") from error
