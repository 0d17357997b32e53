"""The store of a run: one immutable file per finished cell, per-example outputs beside it.

    <run>/run.json            the configuration, the command and the cells of the last plan
    <run>/cells/<key>.json    a record
    <run>/cells/<key>.npz     its arrays; written first, so a record never lacks them

The files are the only channel between workers and the report. A file that is truncated, foreign
or of an unknown version is named and passed over, never a crash.
"""

from __future__ import annotations

import errno
import json
import os
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from bench.record import SCHEMA, Record
from reaugkd.artifacts import write_json
from reaugkd.errors import UserError

RUN = "run.json"


@dataclass(frozen=True)
class Problem:
    """A file that could not be used, and why."""

    path: Path
    reason: str


class StoreError(UserError):
    """The run's folder cannot be written or is not a run's folder."""


def make_writable(folder: Path) -> None:
    """Make ``folder`` and see that files can be written there.

    Raises:
        OSError: if not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".probe.{os.getpid()}"
    probe.write_bytes(b"x")
    probe.unlink()


class Store:
    """Records below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cells = folder / "cells"

    def create(self) -> None:
        """Make the folders and see that they can be written.

        Raises:
            StoreError: naming the folder.
        """
        try:
            make_writable(self.cells)
        except OSError as error:
            raise self._cannot_write(error) from error

    def _cannot_write(self, error: OSError) -> StoreError:
        full = " (the disk is full)" if error.errno == errno.ENOSPC else ""
        return StoreError(f"cannot write results to {self.folder}: {error.strerror}{full}")

    def write_run(self, run: Mapping[str, Any]) -> None:
        """Keep the plan: configuration, command, cells."""
        try:
            write_json(self.folder / RUN, dict(run))
        except OSError as error:
            raise self._cannot_write(error) from error

    def read_run(self) -> dict[str, Any]:
        """The plan.

        Raises:
            StoreError: if there is none, or it is damaged.
        """
        path = self.folder / RUN
        try:
            run = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(run, dict) or not isinstance(run.get("cells"), list):
                raise ValueError("no list of cells")
        except FileNotFoundError as error:
            raise StoreError(f"no run at {self.folder}: expected {path}") from error
        except (OSError, ValueError) as error:
            raise StoreError(f"{path} is damaged: {error}") from error
        return run

    def write(self, record: Record, arrays: Mapping[str, NDArray[Any]] | None = None) -> None:
        """Write the arrays, then the record; both appear whole or not at all.

        Raises:
            StoreError: if the folder cannot be written, e.g. because the disk is full.
        """
        try:
            if arrays:
                _write_arrays(self.cells / f"{record.key}.npz", arrays)
            write_json(self.cells / f"{record.key}.json", record.model_dump(mode="json"))
        except OSError as error:
            raise self._cannot_write(error) from error

    def read(self, key: str) -> Record | Problem | None:
        """The record of ``key``, None if there is none, or why its file cannot be used."""
        path = self.cells / f"{key}.json"
        return _read(path) if path.is_file() else None

    def arrays(self, key: str, names: Collection[str] | None = None) -> dict[str, NDArray[Any]]:
        """The arrays of ``key``, or those of them called ``names``; empty if it has none.

        Raises:
            StoreError: if the file is damaged.
        """
        path = self.cells / f"{key}.npz"
        if not path.is_file():
            return {}
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                wanted = [name for name in archive.files if names is None or name in names]
                return {name: archive[name] for name in wanted}
        except (OSError, ValueError, EOFError, KeyError, BadZipFile, zlib.error) as error:
            raise StoreError(f"{path} is damaged: {error}") from error

    def records(self) -> tuple[list[Record], list[Problem]]:
        """All usable records, ordered by key, and the files that could not be used."""
        records: list[Record] = []
        problems: list[Problem] = []
        for path in sorted(self.cells.glob("*.json")):
            found = _read(path)
            if isinstance(found, Record):
                records.append(found)
            else:
                problems.append(found)
        return records, problems


def _write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            np.savez_compressed(file, **dict[str, Any](arrays))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)  # on a full disk, half a file is in the way


def _read(path: Path) -> Record | Problem:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return Problem(path, f"not readable as JSON ({error})")
    if not isinstance(content, dict) or "schema_version" not in content:
        return Problem(path, "not a record of this project")
    if content["schema_version"] != SCHEMA:
        return Problem(path, f"schema version {content['schema_version']}, this is {SCHEMA}")
    try:
        record = Record.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        return Problem(path, f"{where}: {first['msg']}")
    if record.key != path.stem:
        return Problem(path, f"holds the record of another cell, {record.key}")
    return record
