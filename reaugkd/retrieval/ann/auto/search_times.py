"""The times of one candidate's searches: what a calibration runs in a process of its own."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from reaugkd import processor
from reaugkd.artifacts.store import write_json
from reaugkd.lifeline import end_with_parent
from reaugkd.retrieval import ann
from reaugkd.retrieval.ann.index import AnnIndex, Ids
from reaugkd.retrieval.clusters import Clusters
from reaugkd.retrieval.normalise import Vectors, unit_rows
from reaugkd.retrieval.tuning import recall_at_k, tune

K, TARGET, QUERIES = 10, 0.99, 400
CALLS = {1: 40, 8: 20, 32: 15}
"""Timed calls by batch."""

_FLUSH = 32 << 20
_WARM_UP = 3


class Finite(BaseModel):
    """What calibrations are made of: immutable, finite, nothing unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SearchTime(Finite):
    """The median time of one call of ``search``."""

    size: int = Field(ge=1)
    batch: int = Field(ge=1)
    microseconds: float = Field(gt=0, description="per call, that is for the whole batch")
    effort: int | None = Field(description="least one that reaches the target, None without a knob")
    recall: float = Field(ge=0, le=1, description=f"recall@{K} with this effort")


class Candidate(Finite):
    """One backend; without points it could not be measured, for the reason in ``failure``."""

    spec: str
    points: tuple[SearchTime, ...] = ()
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


class _Cosines:
    """The exact answers by a product of numpy: an exact index would bring torch into a process."""

    k = K

    def __init__(self, queries: Vectors, vectors: Vectors) -> None:
        self.queries = queries
        self._all = queries @ vectors.T
        self._best = -np.partition(-self._all, K - 1, axis=1)[:, :K]

    def recall(self, ids: Ids) -> float:
        cosines = np.take_along_axis(self._all, np.maximum(ids, 0), axis=1)
        return recall_at_k(np.where(ids >= 0, cosines, -np.inf), self._best)


def points(spec: str, dim: int, threads: int, sizes: tuple[int, ...]) -> list[SearchTime]:
    """Time ``spec`` over generated vectors, at the least effort with a recall of :data:`TARGET`.

    Between the steps of the ladder the least effort is searched for, or the steps would drown the
    growth of the times from one size to the next.
    """
    clusters = Clusters(dim)
    vectors = unit_rows(clusters.draw(max(sizes), seed=1)[0])
    queries = unit_rows(clusters.draw(QUERIES, seed=0)[0])
    times = []
    for size in sizes:
        index = ann.make(spec, threads=threads, build_threads=processor.cores())
        index.build(vectors[:size])
        recall = 1.0
        if spec != "exact":
            truth = _Cosines(queries, vectors[:size])
            recall = tune(index, truth, TARGET, most=max(K, size // 4), refine=True).recall
        for batch in CALLS:
            took = {"microseconds": _call(index, queries, batch), "effort": index.effort}
            times.append(SearchTime(size=size, batch=batch, recall=recall, **took))
    return times


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
        (index.nearest if batch == 1 else index.search)(asked, K)  # as the query path calls them
        times.append(time.perf_counter_ns() - began)
    return float(np.median(times[_WARM_UP:])) / 1e3


def main(arguments: list[str]) -> None:
    """Measure one candidate: spec, width, threads, the file to write, then the sizes."""
    spec, dim, threads, out, *sizes = arguments
    times = points(spec, int(dim), int(threads), tuple(map(int, sizes)))
    write_json(Path(out), Candidate(spec=spec, points=tuple(times)).model_dump(mode="json"))


if __name__ == "__main__":
    end_with_parent()
    main(sys.argv[1:])
