"""What a memory process does: load a saved index, answer queries, and read what that took.

Everything is served twice: first a small knowledge base through the same backend, so that imports,
thread pools and work buffers are there before the first reading, then the one that is measured.
Nothing is built or serialised here, except an instant index, which is nothing but the vectors.
"""

from __future__ import annotations

import ctypes
import gc
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load_file

from bench.measure import environment, timed
from reaugkd.errors import UserError
from reaugkd.retrieval.knowledge_base import KnowledgeBase

if TYPE_CHECKING:
    from bench.measure.job import MemoryJob
    from reaugkd.retrieval.query import QueryPath

BATCH = 32
"""Queries per search: what a search holds for a batch is part of the peak."""

_CLEAR = Path("/proc/self/clear_refs")
_SLACK = 1 << 20
"""By how much a peak that was just reset may exceed what is resident: readings are not at once."""


def measure(job: MemoryJob) -> dict[str, float]:
    """Bytes and seconds: ``rss_growth``, ``mapped``, ``peak_growth`` and ``load_seconds``.

    Raises:
        UserError: naming the file that is missing or damaged.
    """
    arrays = load_file(job.queries)
    queries, logits = arrays["queries"], arrays["student"]
    small = KnowledgeBase.load(Path(job.small_base))
    index = timed.opened(job.spec, job.small_index, small, job.cell.threads)
    if job.effort is not None:
        index.effort = job.effort
    # The small base may have other classes: its answers serve nothing but the warm-up.
    ones = np.ones((len(queries), small.values.shape[1]), np.float32)
    whole = job.cell.model_copy(update={"reduction": None})
    answer_all(small, timed.query_path(index, small, whole), queries, ones)
    del arrays, small, index, ones
    before = settle()
    began = time.perf_counter()
    base, index = timed.served(job)
    path = timed.query_path(index, base, job.cell)
    seconds = time.perf_counter() - began
    answer_all(base, path, queries, logits)
    after = environment.memory_status()
    return {
        "rss_growth": after["RssAnon"] - before["RssAnon"],
        "mapped": after["RssFile"] - before["RssFile"],
        "peak_growth": after["VmHWM"] - before["VmRSS"],
        "load_seconds": seconds,
    }


def answer_all(base: KnowledgeBase, path: QueryPath, queries: Any, logits: Any) -> None:
    """One pass, as a served classifier answers: search, mixture, ids of the neighbours."""
    for start in range(0, len(queries), BATCH):
        part = slice(start, start + BATCH)
        answer = path.answer(logits[part], queries[part])
        base.ids.take(answer.rows, mode="clip")


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
        _CLEAR.write_text("5")
    except OSError as error:
        raise UserError(f"the peak cannot be measured: {_CLEAR}: {error.strerror}") from error
    before = environment.memory_status()
    if before["VmHWM"] > before["VmRSS"] + _SLACK:
        raise UserError(f"the peak cannot be measured: {_CLEAR} does not reset it")
    return before
