"""Folders of a payload and its manifest: whole and unchanged, or an error that names the path."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from reaugkd.artifacts.disk import writing
from reaugkd.artifacts.store import checksum, write_json
from reaugkd.errors import UserError


def write(
    folder: Path, payload: str, manifest: Mapping[str, Any], save: Callable[[Path], None]
) -> None:
    """Write ``folder/payload`` by ``save(path)``, then its manifest beside it (``.json``).

    Both appear by renaming, the manifest last: a kill leaves the old content or a pair that
    :func:`read` refuses. A file that is memory-mapped elsewhere stays intact there.

    Raises:
        UserError: naming the path, if it cannot be written, a DiskFullError the folder.
    """
    path = folder / payload
    temporary = folder / f".{payload}.tmp"
    try:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            temporary.touch()  # an error of the operating system says more than one of a library
            save(temporary)
            seal = {"bytes": temporary.stat().st_size, "sha256": checksum(temporary)}
            temporary.replace(path)
            write_json(path.with_suffix(".json"), {**manifest, "payload": seal})
    except (OSError, RuntimeError, SafetensorError) as error:  # C++ libraries: RuntimeError
        raise UserError(f"cannot write {path}: {error}") from error
    finally:
        with suppress(OSError):  # the folder may not even be one
            temporary.unlink(missing_ok=True)


def peek(folder: Path, payload: str) -> dict[str, Any]:
    """The manifest of a payload, before anything is known of the payload itself.

    A UserError names the file that is missing or no manifest.
    """
    path = (folder / payload).with_suffix(".json")
    try:
        manifest = dict(json.loads(path.read_text(encoding="utf-8")))
        seal = manifest["payload"]
        manifest["payload"] = {"bytes": int(seal["bytes"]), "sha256": str(seal["sha256"])}
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not a manifest of this project") from error
    return manifest


def read(folder: Path, payload: str) -> tuple[Path, dict[str, Any]]:
    """The path of a payload and its manifest, after checking that the two belong together.

    A UserError names the file that is missing, truncated, changed or no manifest.
    """
    path = folder / payload
    manifest = peek(folder, payload)
    seal = manifest.pop("payload")
    if not path.is_file():
        raise UserError(f"{path} does not exist")
    if path.stat().st_size != seal["bytes"]:
        raise UserError(f"{path} is damaged: {path.stat().st_size} bytes, not {seal['bytes']}")
    if checksum(path) != seal["sha256"]:
        raise UserError(f"{path} is damaged: its checksum differs from its manifest's")
    return path, manifest
