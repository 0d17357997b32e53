"""Stores of records: one immutable file per finished cell, its arrays beside it.

    <folder>/<PART>/<key>.json    a record
    <folder>/<PART>/<key>.npz     its arrays; written first, so a record never lacks them
    <folder>/run.json             a run's configuration, command and last plan

The files are the only channel between workers and the report. A file that is truncated, foreign
or of an unknown version is named and passed over, never a crash.
"""

from __future__ import annotations

import errno
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from numpy.typing import NDArray
from pydantic import ValidationError

from bench.records import arrays as archives
from bench.records.complete import lacking
from bench.records.frozen import KeyedRecord, first_of
from bench.records.run import SCHEMA, Record
from reaugkd.artifacts.store import write_json
from reaugkd.errors import UserError

RUN, PRECISION = "run.json", "precision"
"""The plan of a run, and what in it keeps the answers to precisions that were left open."""

AnyRecord = TypeVar("AnyRecord", bound=KeyedRecord)


@dataclass(frozen=True)
class Problem:
    """A file that could not be used, and why."""

    path: Path
    reason: str


class StoreError(UserError):
    """A folder of results cannot be written, or what lies there cannot be read."""


class RecordStore(ABC, Generic[AnyRecord]):
    """The records of one schema below one folder."""

    PART: ClassVar[str]
    """Name of the folder of the records."""

    SCHEMA: ClassVar[int]
    """The version that is understood."""

    NOUN: ClassVar[str]
    """A record in words, e.g. ``a measurement``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cells = folder / self.PART

    @classmethod
    def at(cls, folder: Path) -> bool:
        """Whether ``folder`` holds such records."""
        return (folder / cls.PART).is_dir()

    @abstractmethod
    def _validated(self, content: dict[str, Any]) -> AnyRecord:
        """The record of some JSON; raises a ``ValidationError``, or a ``ValueError``."""

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Tells an error of the file system as a :class:`StoreError` that names the folder."""
        try:
            yield
        except OSError as error:
            full = " (the disk is full)" if error.errno == errno.ENOSPC else ""
            reason = f"cannot write results to {self.folder}: {error.strerror}{full}"
            raise StoreError(reason) from error

    def create(self) -> None:
        """Make the folders and see that they can be written.

        Raises:
            StoreError: naming the folder.
        """
        with self._writing():
            make_writable(self.cells)

    def write(self, record: AnyRecord, arrays: Mapping[str, NDArray[Any]] | None = None) -> None:
        """Write the arrays, then the record; both appear whole or not at all.

        Raises:
            StoreError: if the folder cannot be written, e.g. because the disk is full.
        """
        with self._writing():
            if arrays:
                archives.write(self.cells / f"{record.key}.npz", arrays)
            write_json(self.cells / f"{record.key}.json", record.model_dump(mode="json"))

    def read(self, key: str) -> AnyRecord | Problem | None:
        """The record of ``key``, None if there is none, or why its file cannot be used."""
        path = self.cells / f"{key}.json"
        return self._read(path) if path.is_file() else None

    def records(self) -> tuple[list[AnyRecord], list[Problem]]:
        """All usable records, ordered by key, and the files that could not be used."""
        read = [self._read(path) for path in sorted(self.cells.glob("*.json"))]
        problems = [problem for problem in read if isinstance(problem, Problem)]
        return [record for record in read if not isinstance(record, Problem)], problems

    def arrays(self, key: str, names: Collection[str] | None = None) -> dict[str, NDArray[Any]]:
        """The arrays of ``key``, or those of them called ``names``; empty if it has none.

        Raises:
            StoreError: if the file is damaged.
        """
        path = self.cells / f"{key}.npz"
        try:
            return archives.read(path, names)
        except archives.DamagedArraysError as error:
            raise StoreError(f"{path} is damaged: {error}") from error

    def _read(self, path: Path) -> AnyRecord | Problem:
        try:
            content = json_of(path)
        except (OSError, ValueError) as error:
            return Problem(path, f"not readable as JSON ({error})")
        if not isinstance(content, dict) or "schema_version" not in content:
            return Problem(path, f"not {self.NOUN} of this project")
        if content["schema_version"] != self.SCHEMA:
            version = content["schema_version"]
            return Problem(path, f"schema version {version}, this is {self.SCHEMA}")
        try:
            record = self._validated(content)
        except ValidationError as error:
            return Problem(path, first_of(error))
        except ValueError as error:
            return Problem(path, str(error))
        if record.key != path.stem:
            return Problem(path, f"holds the record of another cell, {record.key}")
        return record


class Store(RecordStore[Record]):
    """The records of a run."""

    PART, SCHEMA, NOUN = "cells", SCHEMA, "a record"

    def _validated(self, content: dict[str, Any]) -> Record:
        record = Record.model_validate(content)
        if reason := lacking(record):
            raise ValueError(reason)
        return record

    def write_run(self, run: Mapping[str, Any]) -> None:
        """Keep the plan: configuration, command, cells."""
        with self._writing():
            write_json(self.folder / RUN, dict(run))

    def read_run(self) -> dict[str, Any]:
        """The plan.

        Raises:
            StoreError: if there is none, or it is damaged.
        """
        path = self.folder / RUN
        try:
            run = json_of(path)
            if not isinstance(run, dict) or not isinstance(run.get("cells"), list):
                raise ValueError("no list of cells")
        except FileNotFoundError as error:
            raise StoreError(f"no run at {self.folder}: expected {path}") from error
        except (OSError, ValueError) as error:
            raise StoreError(f"{path} is damaged: {error}") from error
        return run

    def precisions(self) -> dict[str, dict[str, Any]]:
        """Task -> role -> the kept answer to a precision that was left open; none without a run."""
        try:
            kept = self.read_run().get(PRECISION, {})
        except StoreError:
            return {}  # there is no run yet, or the next plan mends it
        if not isinstance(kept, dict) or not all(isinstance(v, dict) for v in kept.values()):
            raise StoreError(f"{self.folder / RUN} is damaged: {PRECISION} is no table")
        return kept


def make_writable(folder: Path) -> None:
    """Make ``folder`` and see that files can be written there.

    Raises:
        OSError: if not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".probe.{os.getpid()}"
    probe.write_bytes(b"x")
    probe.unlink()


def json_of(path: Path) -> Any:
    """The JSON in ``path``.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError as error:
        raise ValueError("nested too deep") from error
