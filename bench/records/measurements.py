"""Measured cells on disk: one file per cell, its raw nanoseconds beside it.

    <folder>/measurements/<key>.json         a record, latency or memory
    <folder>/measurements/<key>.npz          its arrays; written first, so a record never lacks them
    <folder>/latency.json, memory.json       the last plan of each kind: command and keys in order

A file that is truncated, foreign or of another version is named and passed over, never a crash.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_serializer,
    field_validator,
)

from bench.records.measurement import SCHEMA, LatencyRecord, MemoryRecord
from bench.records.store import Problem, StoreError, make_writable
from bench.records.stored import arrays_of, first_of, record_of
from reaugkd.artifacts.atomic import replacing
from reaugkd.artifacts.store import write_json

Kind = Literal["latency", "memory"]
Measured = LatencyRecord | MemoryRecord
_RECORD: TypeAdapter[Measured] = TypeAdapter(Annotated[Measured, Field(discriminator="kind")])

FOLDER = "measurements"


class PlanFile(BaseModel):
    """What was last asked for, so that a report can say what is missing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    kind: Kind
    command: str
    cells: dict[str, str] = Field(description="key -> label, in the order of the work")

    @field_serializer("cells")
    def _pairs(self, cells: dict[str, str]) -> list[tuple[str, str]]:
        return list(cells.items())  # files have sorted keys: an object would lose the order

    @field_validator("cells", mode="before")
    @classmethod
    def _of_pairs(cls, cells: Any) -> Any:
        if not isinstance(cells, list):
            return cells
        if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in cells):
            raise ValueError("expected pairs of key and label")
        return dict(cells)


class Measurements:
    """The measured cells below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cells = folder / FOLDER

    @classmethod
    def at(cls, folder: Path) -> bool:
        """Whether ``folder`` holds measurements."""
        return (folder / FOLDER).is_dir()

    def create(self) -> None:
        """Make the folders and see that they can be written.

        Raises:
            StoreError: naming the folder.
        """
        try:
            make_writable(self.cells)
        except OSError as error:
            raise self._cannot_write(error) from error

    def write(self, record: Measured, arrays: Mapping[str, NDArray[Any]] | None = None) -> None:
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

    def get(self, key: str) -> Measured | Problem | None:
        """The record of ``key``, None if there is none, or why its file cannot be used."""
        path = self.cells / f"{key}.json"
        return _read(path) if path.is_file() else None

    def read(self) -> tuple[list[Measured], list[Problem]]:
        """All usable records, ordered by key, and the files that could not be used."""
        records: list[Measured] = []
        problems: list[Problem] = []
        for path in sorted(self.cells.glob("*.json")):
            found = _read(path)
            if isinstance(found, Problem):
                problems.append(found)
            else:
                records.append(found)
        return records, problems

    def latency(self) -> list[LatencyRecord]:
        """The usable records of latency."""
        return [record for record in self.read()[0] if isinstance(record, LatencyRecord)]

    def memory(self) -> list[MemoryRecord]:
        """The usable records of memory."""
        return [record for record in self.read()[0] if isinstance(record, MemoryRecord)]

    def arrays(self, key: str) -> dict[str, NDArray[Any]]:
        """The arrays of ``key``; empty if it has none.

        Raises:
            StoreError: if the file is damaged.
        """
        return arrays_of(self.cells / f"{key}.npz")

    def write_plan(self, plan: PlanFile) -> None:
        """Keep what was asked for.

        Raises:
            StoreError: if the folder cannot be written.
        """
        try:
            write_json(self.folder / f"{plan.kind}.json", plan.model_dump(mode="json"))
        except OSError as error:
            raise self._cannot_write(error) from error

    def read_plan(self, kind: Kind) -> PlanFile | Problem | None:
        """The last plan of a kind, None if there is none, or why its file cannot be used."""
        path = self.folder / f"{kind}.json"
        if not path.is_file():
            return None
        try:
            return PlanFile.model_validate_json(path.read_bytes())
        except OSError as error:
            return Problem(path, str(error))
        except ValidationError as error:
            return Problem(path, first_of(error))

    def _cannot_write(self, error: OSError) -> StoreError:
        full = " (the disk is full)" if error.errno == errno.ENOSPC else ""
        return StoreError(f"cannot write results to {self.folder}: {error.strerror}{full}")


def _write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    with replacing(path) as file:
        np.savez_compressed(file, **dict[str, Any](arrays))


def _read(path: Path) -> Measured | Problem:
    check = _RECORD.validate_python
    return record_of(path, schema=SCHEMA, what="a measurement", check=check)
