"""One query at a time, again and again: what a call takes where everything is in the caches."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

QUERIES = 200


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
