"""The times of one candidate's searches: what a calibration runs in a process of its own."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from reaugkd.artifacts.store import write_json
from reaugkd.retrieval import ann
from reaugkd.retrieval.ann.index import AnnIndex
from reaugkd.retrieval.normalise import Vectors, unit_rows

K, TARGET, QUERIES = 10, 0.99, 400
CALLS = {1: 40, 8: 20, 32: 15}
"""Timed calls by batch."""

_TIE = 1e-6  # an answer this little below the true k-th one counts, as in the tuning of a run
_FLUSH = 32 << 20
_WARM_UP = 3


class Plain(BaseModel):
    """What calibrations are made of: immutable, finite, nothing unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Point(Plain):
    """The median time of one call of ``search``."""

    size: int = Field(ge=1)
    batch: int = Field(ge=1)
    microseconds: float = Field(gt=0, description="per call, that is for the whole batch")
    effort: int | None = Field(description="least one that reaches the target, None without a knob")
    recall: float = Field(ge=0, le=1, description=f"recall@{K} with this effort")


class Measured(Plain):
    """One candidate; without points it could not be measured, for the reason in ``failure``."""

    spec: str
    points: tuple[Point, ...] = ()
    failure: str | None = None

    @property
    def usable(self) -> bool:
        """Whether it was measured and reached the recall that all are compared at."""
        return bool(self.points) and min(point.recall for point in self.points) >= TARGET

    @property
    def flaw(self) -> str | None:
        """Why it is not usable."""
        if self.failure is None and not self.usable:
            least = min(point.recall for point in self.points)
            return f"reaches a recall of {least:.3f}, not {TARGET}"
        return self.failure


def points(spec: str, dim: int, threads: int, sizes: tuple[int, ...]) -> list[Point]:
    """Time ``spec`` over generated vectors, at the least effort with a recall of :data:`TARGET`."""
    vectors = structured(max(sizes), dim, seed=1)
    queries = structured(QUERIES, dim, seed=2)
    found = []
    for size in sizes:
        index = ann.make(spec, threads=threads, build_threads=cores())
        index.build(vectors[:size])
        recall = 1.0 if spec == "exact" else _least_effort(index, vectors[:size], queries)
        for batch in CALLS:
            microseconds = _call(index, queries, batch)
            found.append(
                Point(
                    size=size,
                    batch=batch,
                    microseconds=microseconds,
                    effort=index.effort,
                    recall=recall,
                )
            )
    return found


def structured(rows: int, dim: int, seed: int) -> Vectors:
    """Unit vectors [rows, dim] in two clusters with a spread of low rank, as a teacher makes them.

    White noise has no near neighbours and would make every graph look bad.
    """
    shape = np.random.default_rng(dim)  # the clusters are the same for vectors and queries
    spread = unit_rows(shape.standard_normal((24, dim))) * (0.85 ** np.arange(24))[:, None]
    centres = 2.0 * unit_rows(shape.standard_normal((2, dim)))
    random = np.random.default_rng([dim, seed])
    embeddings = centres[random.integers(0, 2, rows)]
    embeddings += random.standard_normal((rows, 24)) @ spread
    embeddings += 0.1 / np.sqrt(dim) * random.standard_normal((rows, dim))
    return unit_rows(embeddings)


def _least_effort(index: AnnIndex, vectors: Vectors, queries: Vectors) -> float:
    """Set the least effort that reaches the target; the recall with it, or the best there is.

    The steps of the ladder are wide: between the last two the least one is searched for, or the
    steps would drown the growth of the times from one size to the next. An effort of more than a
    quarter of the entries is not tried: exact search is faster.
    """
    cosines = queries @ vectors.T  # no exact index: it would bring torch into each process
    least = np.partition(cosines, -K, axis=1)[:, [-K]] - _TIE

    def recall(effort: int | None) -> float:
        index.effort = effort
        ids = index.search(queries, K)[1]
        hits = np.take_along_axis(cosines, np.maximum(ids, 0), axis=1) >= least
        return float((hits & (ids >= 0)).mean())

    efforts = [effort for effort in index.efforts(K) if effort <= max(K, len(vectors) // 4)]
    if not efforts:
        return recall(index.effort)
    too_low, enough, reached = efforts[0] - 1, efforts[0], recall(efforts[0])
    for effort in efforts[1:]:
        if reached >= TARGET:
            break
        too_low, enough, reached = enough, effort, recall(effort)
    while reached >= TARGET and enough - too_low > 1:
        middle = (enough + too_low) // 2
        there = recall(middle)
        if there >= TARGET:
            enough, reached = middle, there
        else:
            too_low = middle
    index.effort = enough
    return reached


def _call(index: AnnIndex, queries: Vectors, batch: int) -> float:
    """Median microseconds of a call with ``batch`` queries, the caches emptied before each.

    In use a search follows the forward of a network, which leaves nothing of the index in them.
    """
    flush = np.ones(_FLUSH // 4, np.float32)
    times = []
    for number in range(CALLS[batch] + _WARM_UP):
        start = number * batch % (len(queries) - batch + 1)
        asked = queries[start : start + batch]
        flush.sum()
        began = time.perf_counter_ns()
        if batch == 1:  # what the query path calls
            index.nearest(asked, K)
        else:
            index.search(asked, K)
        times.append(time.perf_counter_ns() - began)
    return float(np.median(times[_WARM_UP:])) / 1e3


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def main(arguments: list[str]) -> None:
    """Measure one candidate: spec, width, threads, the file to write, then the sizes."""
    spec, dim, threads, out, *sizes = arguments
    found = points(spec, int(dim), int(threads), tuple(map(int, sizes)))
    write_json(Path(out), Measured(spec=spec, points=tuple(found)).model_dump(mode="json"))


if __name__ == "__main__":
    main(sys.argv[1:])
