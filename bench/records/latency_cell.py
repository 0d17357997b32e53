"""A measurement cell: one student before one knowledge base through one backend, as plain JSON."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bench.records.frozen import Frozen

Precision = Literal["fp32", "bf16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "int8")


class LatencyCell(Frozen):
    """What is measured; the rest of a record is what came out."""

    base: str = Field(description="name of the knowledge base: a GLUE task, a number, or a run's")
    size: int = Field(description="its entries")
    dim: int = Field(description="width of its keys and of the student's embedding")
    classes: int = Field(description="width of its values")
    generated: bool = Field(description="made by bench.measure.bases, not by a teacher")
    backend: str = Field(description="canonical spec as it was asked for, e.g. auto")
    k: int
    tau: float
    beta: float
    batch: int = Field(description="inputs per forward")
    precision: Precision = Field(description="of the student's forward")
    threads: int = Field(description="cores the process may use")
    lengths: str = Field(description="where the inputs come from, e.g. 'recorded mrpc', 'fixed 32'")
    student: str = Field(description="the student in a few words")

    @property
    def label(self) -> str:
        """The cell in a few words."""
        return (
            f"{self.base} ({self.size:,}) {self.backend} k {self.k} batch {self.batch} "
            f"{self.precision}"
        )
