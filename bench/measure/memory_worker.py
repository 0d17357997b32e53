"""The measured process of ``bench memory``: it loads a saved index and answers queries.

    python -m bench.measure.memory_worker JOB.json RESULT.json

Everything is served twice: first a small knowledge base through the same backend, so that imports,
thread pools and work buffers are there before the first reading, then the one that is measured.
Nothing is built or serialised here, except an instant index, which is nothing but the vectors.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from bench.measure.indexes import Built
from bench.records.plain import Plain
from reaugkd.artifacts.store import write_json
from reaugkd.errors import UserError
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.query import QueryPath

BATCH = 32
"""Queries per search: what a search holds for a batch is part of the peak."""

_PROC = Path("/proc/self")
_SLACK = 1 << 20
"""By how much a peak that was just reset may exceed what is resident: readings are not at once."""


class Saved(Plain):
    """A knowledge base and its index on disk; ``index`` is None where the backend is instant."""

    base: str
    index: str | None


class Job(Plain):
    """What a measured process does."""

    spec: str
    small: Saved
    measured: Saved
    queries: str = Field(description=".npz with queries [m, d] and student [m, C], float32")
    effort: int | None
    k: int
    tau: float
    beta: float
    threads: int


class Outcome(Plain):
    """What it saw, in bytes and seconds."""

    rss_growth: int
    mapped: int
    peak_growth: int
    load_seconds: float


class Served:
    """A knowledge base as a serving process holds it: index, soft labels, ids."""

    def __init__(self, saved: Saved, job: Job) -> None:
        began = time.perf_counter()
        self.base = KnowledgeBase.load(Path(saved.base))
        folder = None if saved.index is None else Path(saved.index)
        self.index = Built(job.spec, folder, "", 0.0, 1, ()).open(self.base.keys, job.threads)
        self.path = QueryPath(self.index, self.base.values, k=job.k, tau=job.tau, beta=job.beta)
        self.seconds = time.perf_counter() - began
        if job.effort is not None:
            self.index.effort = job.effort

    def answer_all(self, queries: Any, logits: Any) -> None:
        """One pass, as a served classifier answers: search, mixture, ids of the neighbours."""
        for start in range(0, len(queries), BATCH):
            part = slice(start, start + BATCH)
            answer = self.path.answer(logits[part], queries[part])
            self.base.ids.take(answer.rows, mode="clip")


def status() -> dict[str, int]:
    """The sizes in /proc/self/status, in bytes: RssAnon, RssFile, VmRSS, VmHWM and others."""
    lines = (_PROC / "status").read_text(encoding="ascii", errors="replace").splitlines()
    sizes = (line.split() for line in lines if line.endswith(" kB"))
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in sizes}


def settle() -> dict[str, int]:
    """Give freed memory back to the system, forget the peak so far, and read.

    Raises:
        UserError: if this system cannot do either; the peak would be that of the imports.
    """
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except AttributeError as error:
        raise UserError("memory cannot be measured without glibc: no malloc_trim") from error
    try:
        (_PROC / "clear_refs").write_text("5")
    except OSError as error:
        raise UserError(
            f"the peak cannot be measured: /proc/self/clear_refs: {error.strerror}"
        ) from error
    before = status()
    if before["VmHWM"] > before["VmRSS"] + _SLACK:
        raise UserError("the peak cannot be measured: /proc/self/clear_refs does not reset it")
    return before


def work(job: Job) -> Outcome:
    """Load, answer, read.

    Raises:
        UserError: naming the file that is missing or damaged.
    """
    with np.load(job.queries, allow_pickle=False) as archive:
        queries, logits = archive["queries"], archive["student"]
    small = Served(job.small, job)
    # The small base may have other classes: its answers serve nothing but the warm-up.
    classes = small.base.values.shape[1]
    small.answer_all(queries, np.ones((len(queries), classes), np.float32))
    del small
    before = settle()
    served = Served(job.measured, job)
    served.answer_all(queries, logits)
    after = status()
    return Outcome(
        rss_growth=after["RssAnon"] - before["RssAnon"],
        mapped=after["RssFile"] - before["RssFile"],
        peak_growth=after["VmHWM"] - before["VmRSS"],
        load_seconds=served.seconds,
    )


def main(job: str, result: str) -> int:
    """Do the job in the file ``job``; the exit code."""
    try:
        outcome = work(Job.model_validate_json(Path(job).read_bytes()))
    except UserError as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        return 2
    write_json(Path(result), outcome.model_dump())
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
