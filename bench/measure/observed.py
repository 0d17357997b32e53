"""What one latency process saw, and how a cell's processes are kept and summed up."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from bench.measure import statistics
from bench.measure.process import ProcessError
from bench.measure.timing import Laps
from bench.records.measurement import Environment, LatencyResult

NOTHING_MS = 1e-3
"""A search takes many microseconds: a median below one says that nothing was called."""


@dataclass(frozen=True, eq=False)
class Observed:
    """One process.

    Attributes:
        forward, added, plain: int64 [rounds, batches], nanoseconds.
        rows, tokens: [count] inputs in the order they were run, and their lengths.
        environment: JSON of :class:`Environment`.
        seconds: that the process took, start included.
    """

    forward: NDArray[np.int64]
    added: NDArray[np.int64]
    plain: NDArray[np.int64]
    rows: NDArray[np.int64]
    tokens: NDArray[np.int64]
    environment: str
    seconds: float

    @classmethod
    def of(cls, content: bytes, seconds: float) -> Self:
        """Read a worker's result.

        Raises:
            ProcessError: if it is not one.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            return cls._checked({**arrays, "seconds": np.array(seconds)})
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
            reason = " ".join(str(error).split())
            raise ProcessError(f"the measuring process left no result to read: {reason}") from error

    @classmethod
    def _checked(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Raises ValueError (pydantic's too) or KeyError for what is not a result."""
        process = cls(
            **{name: arrays[name] for name in (*Laps._fields, "rows", "tokens")},
            environment=str(arrays["environment"]),
            seconds=float(arrays["seconds"]),
        )
        if any(times.dtype != np.int64 for times in process.laps):
            raise ValueError("times are not whole nanoseconds")
        if not process.rows.size or process.rows.shape != process.tokens.shape:
            raise ValueError("rows and tokens do not fit")
        statistics.ratio([process.laps] * statistics.LEAST)  # shapes, and times above 0
        Environment.model_validate_json(process.environment)
        return process

    @property
    def laps(self) -> Laps:
        """Its times."""
        return Laps(self.forward, self.added, self.plain)


def pack(processes: Sequence[Observed]) -> dict[str, NDArray[Any]]:
    """All processes as arrays: ``0.forward``, ``0.added``, ..., ``1.forward``, ..."""
    return {
        f"{number}.{field.name}": np.asarray(getattr(process, field.name))
        for number, process in enumerate(processes)
        for field in fields(process)
    }


def unpack(arrays: Mapping[str, NDArray[Any]]) -> list[Observed]:
    """What :func:`pack` packed; empty if it is not whole."""
    names = [field.name for field in fields(Observed)]
    count, rest = divmod(len(arrays), len(names))
    try:
        if rest:
            return []
        parts = [{name: arrays[f"{n}.{name}"] for name in names} for n in range(count)]
        return [Observed._checked(part) for part in parts]
    except (ValueError, KeyError, ValidationError):
        return []


def result(processes: Sequence[Observed]) -> LatencyResult:
    """The figures of a cell.

    Raises:
        ProcessError: if nothing was added in its added part.
        ValueError: for fewer than two processes.
    """
    laps = [process.laps for process in processes]
    added = statistics.percentiles([process.added for process in processes])
    if added.p50 < NOTHING_MS:
        raise ProcessError(f"nothing was measured: retrieval took {added.p50 * 1e6:.0f} ns")
    return LatencyResult(
        forward=statistics.percentiles([process.forward for process in processes]),
        added=added,
        ratio=statistics.ratio(laps),
        end_to_end=statistics.end_to_end(laps),
        noise=statistics.noise(laps),
        processes=len(processes),
        rounds=len(processes[0].forward),
        inputs=len(np.unique(np.concatenate([process.rows for process in processes]))),
        tokens=float(np.concatenate([process.tokens for process in processes]).mean()),
        seconds=sum(process.seconds for process in processes),
        environments=[
            Environment.model_validate_json(process.environment) for process in processes
        ],
    )
