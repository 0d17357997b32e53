"""What a measurement is asked for, checked before any work starts."""

from __future__ import annotations

import math
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from bench.measure import bases
from bench.measure.cell import PRECISIONS, Precision
from bench.measure.indexes import Target
from reaugkd.errors import UnknownNameError, UserError
from reaugkd.retrieval import ann

STUDENT = "bert-6l-768"


class Options(BaseModel):
    """The axes and settings of latency and memory cells, as plain values."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bases: tuple[str, ...] = Field(("wnli",), description="GLUE tasks or numbers of entries")
    ann: tuple[str, ...] = Field(("exact", "hnswlib"), description="canonical specs, or auto")
    k: tuple[int, ...] = (10,)
    batch: tuple[int, ...] = (1,)
    precision: tuple[Precision, ...] = ("fp32",)
    threads: tuple[int, ...] = Field(description="cores of a measuring process")
    lengths: tuple[str, ...] = Field(
        ("recorded",), description="recorded, recorded:TASK, real or a number of tokens"
    )
    student: str = Field(STUDENT, description="bert-6l-768, random weights, or a checkpoint")
    run: Path | None = Field(None, description="a finished run, instead of bases")
    classifier: Path | None = Field(None, description="an exported classifier, instead of bases")
    task: str | None = Field(None, description="of the run, or where real lengths come from")
    data_dir: Path | None = None
    target: str = Field("recall:0.99", description="what the search effort is tuned to")
    limit: float = Field(0.03, description="overhead that the verdict is about")
    budget: float = Field(90.0, description="seconds of measuring per cell")
    tau: float = 0.1
    beta: float = 0.5
    rounds: int = 2
    build_threads: int = Field(description="of index builds")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))
