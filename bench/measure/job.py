"""What a measuring process is told: one JSON file, checked before anything heavy is imported."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError

from bench.records.frozen import Frozen, first_of
from bench.records.measurement import LatencyCell, OnnxRuntime
from reaugkd.errors import UserError


class RandomStudent(Frozen):
    """A BERT of these sizes with random weights: latency does not depend on them."""

    kind: Literal["random"] = "random"
    width: int = Field(768, ge=1)
    layers: int = Field(6, ge=1)
    heads: int = Field(12, ge=1)
    vocabulary: int = Field(30_522, ge=2)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The student ``bert-6l-768`` and its like; None for anything else, a checkpoint.

        Raises:
            UserError: for a student that cannot be.
        """
        match = re.fullmatch(r"bert-(\d+)l-(\d+)", text.lower())
        if not match:
            return None
        layers, width = map(int, match.groups())
        heads = max(1, width // 64)  # 64 wide as in BERT
        if layers < 1 or width < 1 or width % heads:
            raise UserError(f"student '{text}': at least 1 layer, and a width of heads of 64")
        return cls(layers=layers, width=width, heads=heads)


class FolderStudent(Frozen):
    """A student that ``Encoder.save_pretrained`` wrote."""

    kind: Literal["folder"] = "folder"
    path: str


class OnnxStudent(Frozen):
    """A student that bench.measure.exported wrote, with its ONNX file."""

    kind: Literal["onnx"] = "onnx"
    path: str
    runtime: OnnxRuntime


StudentSource = Annotated[RandomStudent | FolderStudent | OnnxStudent, Field(discriminator="kind")]


class Job(Frozen):
    """One process of a cell."""

    cell: LatencyCell
    spec: str = Field(description="backend to build where there is no saved index")
    effort: int | None = Field(None, description="set on the index; None: as it was saved")
    index: str | None = Field(
        None, description="folder of the saved index; None: built from the keys at once"
    )
    base: str = Field(description="folder of the KnowledgeBase")


class LatencyJob(Job):
    """Time the forwards of a student and what retrieval adds to them."""

    kind: Literal["latency"] = "latency"
    queries: str | None = Field(
        None,
        description="safetensors with 'queries' [m, d] float32 that take the place of the "
        "student's embeddings, for a generated base; None: the student's own",
    )
    student: StudentSource
    inputs: str = Field(description="npz of bench.measure.inputs.Inputs")
    seed: int = Field(ge=0, description="of the order in which processes take inputs")
    process: int = Field(ge=0, description="number of this process within the cell")
    count: int = Field(ge=1, description="inputs of this process, a multiple of the batch")
    rounds: int = Field(ge=1)
    warmup: int = Field(ge=0, description="untimed batches")
    delay_us: float = Field(0.0, ge=0, description="added to the query path, to test the gate")


class MemoryJob(Job):
    """Load a saved index, answer queries, and read what that took."""

    kind: Literal["memory"] = "memory"
    queries: str = Field(
        description="safetensors with 'queries' [m, d] and 'student' [m, C], float32"
    )
    small_base: str = Field(description="folder of the KnowledgeBase that is served first")
    small_index: str | None = Field(description="folder of its saved index")


_JOB: TypeAdapter[LatencyJob | MemoryJob] = TypeAdapter(
    Annotated[LatencyJob | MemoryJob, Field(discriminator="kind")]
)


def read(path: Path) -> LatencyJob | MemoryJob:
    """Read a job.

    Raises:
        UserError: in one line, naming the file and the first field that is wrong.
    """
    try:
        return _JOB.validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read job {path}: {error.strerror}") from error
    except ValidationError as error:
        raise UserError(f"job {path}: {first_of(error)}") from error
