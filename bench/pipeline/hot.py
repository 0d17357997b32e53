"""One query at a time, again and again: what a call takes where everything is in the caches."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from reaugkd.retrieval.query import QueryPath
from reaugkd.training.inference import Outputs

QUERIES = 200


class AddedTime(NamedTuple):
    """Microseconds that retrieval adds to the forward of one query.

    ``p50`` and ``p95`` of all queries, the medians of those that are ``asked`` and ``skipped``;
    None where there is no such query.
    """

    p50: float
    p95: float
    asked: float | None
    skipped: float | None


def added(path: QueryPath, outputs: Outputs, alone: NDArray[np.bool_]) -> AddedTime:
    """What ``path`` takes for the ``outputs`` of a student, who answers those ``alone`` [N]."""
    p50, p95 = _timed(path, outputs, np.arange(len(alone)))
    medians = [
        _timed(path, outputs, rows)[0] if len(rows) else None
        for rows in (np.flatnonzero(~alone), np.flatnonzero(alone))
    ]
    return AddedTime(p50, p95, *medians)


def _timed(path: QueryPath, outputs: Outputs, rows: NDArray[np.int64]) -> tuple[float, float]:
    parts = (torch.from_numpy(np.array(part[rows[:QUERIES]])) for part in outputs)
    return microseconds(path, *parts)


def microseconds(call: Callable[..., object], *rows: Any) -> tuple[float, float]:
    """Median and 95th percentile of ``call`` with one row [1, ...] of each of ``rows`` [N, ...].

    The first :data:`QUERIES` rows are taken, after a call that is not timed.
    """
    queries = [[part[at : at + 1] for part in rows] for at in range(min(QUERIES, len(rows[0])))]
    call(*queries[0])
    times = []
    for query in queries:
        began = time.perf_counter_ns()
        call(*query)
        times.append((time.perf_counter_ns() - began) / 1e3)
    p50, p95 = np.percentile(times, [50, 95])
    return float(p50), float(p95)
