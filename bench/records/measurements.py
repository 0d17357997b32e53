"""The store of measured cells, with the last plan of each kind.

<folder>/measurements/<key>.json     a record, latency or memory; <key>.npz its nanoseconds
<folder>/latency.json, memory.json   the last plan of each kind: command and keys in order
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError, field_serializer, field_validator

from bench.records.frozen import Frozen, first_of
from bench.records.measurement import SCHEMA, LatencyRecord, MemoryRecord
from bench.records.store import Problem, RecordStore
from reaugkd.artifacts.store import write_json

Kind = Literal["latency", "memory"]
Measured = LatencyRecord | MemoryRecord
_RECORD: TypeAdapter[Measured] = TypeAdapter(Annotated[Measured, Field(discriminator="kind")])

FOLDER = "measurements"


class PlanFile(Frozen):
    """What was last asked for, so that a report can say what is missing."""

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


class Measurements(RecordStore[Measured]):
    """The measured cells below one folder."""

    PART, SCHEMA, NOUN = FOLDER, SCHEMA, "a measurement"

    def _validated(self, content: dict[str, Any]) -> Measured:
        return _RECORD.validate_python(content)

    def latency(self) -> list[LatencyRecord]:
        """The usable records of latency."""
        return [record for record in self.records()[0] if isinstance(record, LatencyRecord)]

    def memory(self) -> list[MemoryRecord]:
        """The usable records of memory."""
        return [record for record in self.records()[0] if isinstance(record, MemoryRecord)]

    def write_plan(self, plan: PlanFile) -> None:
        """Keep what was asked for.

        Raises:
            StoreError: if the folder cannot be written.
        """
        with self._writing():
            write_json(self._plan(plan.kind), plan.model_dump(mode="json"))

    def read_plan(self, kind: Kind) -> PlanFile | Problem | None:
        """The last plan of a kind, None if there is none, or why its file cannot be used."""
        path = self._plan(kind)
        if not path.is_file():
            return None
        try:
            return PlanFile.model_validate_json(path.read_bytes())
        except OSError as error:
            return Problem(path, str(error))
        except ValidationError as error:
            return Problem(path, first_of(error))

    def _plan(self, kind: Kind) -> Path:
        return self.folder / f"{kind}.json"
