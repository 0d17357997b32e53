"""What latency processes saw: arrays of each, how a cell keeps them, and their figures."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping, Sequence
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from bench.measure import statistics
from bench.measure.process import ProcessError
from bench.measure.timing import Laps
from bench.records.measurement import Environment, LatencyResult

Observed = Mapping[str, NDArray[Any]]
"""One process: what :func:`bench.measure.timed.measure` returns, and ``seconds`` that the process
took, start included."""

NAMES = (*Laps._fields, "rows", "tokens", "environment", "seconds")
ASKED = "asked"
"""Inputs of each batch that were searched, where a sure student is not asked about."""

NOTHING_MS = 1e-3
"""A search takes many microseconds: a median below one says that nothing was called."""


def read(content: bytes, seconds: float) -> Observed:
    """The result of a worker that took so many seconds.

    Raises:
        ProcessError: if it is not one.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            return _checked({**stored, "seconds": np.array(seconds)})
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise ProcessError(f"the measuring process left no result to read: {reason}") from error


def _checked(arrays: Observed) -> Observed:
    """Raises ValueError (pydantic's too) or KeyError for what is not a result."""
    process = {name: arrays[name] for name in NAMES}
    if ASKED in arrays:
        process[ASKED] = arrays[ASKED]
    if any(times.dtype != np.int64 for times in laps(process)):
        raise ValueError("times are not whole nanoseconds")
    if not process["rows"].size or process["rows"].shape != process["tokens"].shape:
        raise ValueError("rows and tokens do not fit")
    statistics.ratio([laps(process)] * statistics.LEAST)  # shapes, and times above 0
    _environment(process)
    return process


def laps(process: Observed) -> Laps:
    """The times of a process."""
    return Laps(*(process[name] for name in Laps._fields))


def _environment(process: Observed) -> Environment:
    return Environment.model_validate_json(str(process["environment"]))


def pack(processes: Sequence[Observed]) -> dict[str, NDArray[Any]]:
    """All processes as arrays: ``0.forward``, ``0.added``, ..., ``1.forward``, ..."""
    return {
        f"{number}.{name}": array
        for number, process in enumerate(processes)
        for name, array in process.items()
    }


def unpack(arrays: Mapping[str, NDArray[Any]]) -> list[Observed]:
    """What :func:`pack` packed; empty if it is not whole."""
    parts: dict[str, dict[str, NDArray[Any]]] = {}
    for key, array in arrays.items():
        number, _, name = key.partition(".")
        parts.setdefault(number, {})[name] = array
    try:
        return [_checked(parts[str(number)]) for number in range(len(parts))]
    except (ValueError, KeyError):
        return []


def result(processes: Sequence[Observed], batch: int) -> LatencyResult:
    """The figures of a cell whose batches have so many inputs.

    Raises:
        ProcessError: if nothing was added in its added part.
        ValueError: for fewer than two processes.
    """
    times = [laps(process) for process in processes]
    added = statistics.percentiles([lap.added for lap in times])
    asked, skipping = None, None
    if ASKED in processes[0]:
        asked = [process[ASKED] for process in processes]
        skipping = statistics.skipping(times, asked, batch)
    searched = added if skipping is None else skipping.asked
    if searched is not None and searched.p50 < NOTHING_MS:
        raise ProcessError(f"nothing was measured: retrieval took {searched.p50 * 1e6:.0f} ns")
    return LatencyResult(
        forward=statistics.percentiles([lap.forward for lap in times]),
        added=added,
        ratio=statistics.ratio(times, asked),
        end_to_end=statistics.end_to_end(times, asked),
        noise=statistics.noise(times),
        processes=len(processes),
        rounds=len(times[0].forward),
        inputs=len(np.unique(np.concatenate([process["rows"] for process in processes]))),
        tokens=float(np.concatenate([process["tokens"] for process in processes]).mean()),
        seconds=sum(float(process["seconds"]) for process in processes),
        environments=[_environment(process) for process in processes],
        skipping=skipping,
    )
