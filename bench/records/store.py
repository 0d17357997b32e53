"""The store of a run: one immutable file per finished cell, per-example outputs beside it.

    <run>/run.json            the configuration, the command and the cells of the last plan
    <run>/cells/<key>.json    a record
    <run>/cells/<key>.npz     its arrays; written first, so a record never lacks them

The files are the only channel between workers and the report. A file that is truncated, foreign
or of an unknown version is named and passed over, never a crash.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.records.complete import lacking
from bench.records.run import SCHEMA, Record
from bench.records.stored import Problem, StoreError, arrays_of, content_of, record_of
from reaugkd.artifacts.atomic import replacing
from reaugkd.artifacts.store import write_json

__all__ = ["RUN", "Problem", "Store", "StoreError", "make_writable"]

RUN = "run.json"


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
            run = content_of(path)
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
        return arrays_of(self.cells / f"{key}.npz", names)

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
    with replacing(path) as file:
        np.savez_compressed(file, **dict[str, Any](arrays))


def _read(path: Path) -> Record | Problem:
    found = record_of(path, schema=SCHEMA, what="a record", check=Record.model_validate)
    if isinstance(found, Record) and (reason := lacking(found)):
        return Problem(path, reason)
    return found
