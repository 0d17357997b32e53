"""Making a knowledge base: check and normalise, write, load again.

CoLA's number of entries for the figures; the laws are ratios within one loop. A few seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from bench.measure import bases
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.retrieval.knowledge_base import KnowledgeBase

ENTRIES, WIDTH, ROUNDS = 8_551, 768, 12

Raw = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    """A knowledge base with the structure of a real one, its keys of unit length."""
    store = ArtifactStore(tmp_path_factory.mktemp("bases"))
    return KnowledgeBase.load(bases.generated(store, str(ENTRIES), WIDTH).folder)


@pytest.fixture(scope="module")
def raw(unit: KnowledgeBase) -> Raw:
    """What a teacher leaves: embeddings that are not normalised."""
    return np.float32(11.0) * unit.keys, np.array(unit.values), np.array(unit.ids)


def medians(*calls: Callable[[], Any]) -> list[float]:
    """In one loop, in alternating order."""
    times: list[list[int]] = [[] for _ in calls]
    for number in range(ROUNDS):
        for which in sorted(range(len(calls)), reverse=bool(number % 2)):
            start = perf_counter_ns()
            calls[which]()
            times[which].append(perf_counter_ns() - start)
    return [median(one) for one in times]


def test_build(benchmark: BenchmarkFixture, raw: Raw) -> None:
    benchmark.group = "knowledge base"
    base = benchmark.pedantic(KnowledgeBase.build, raw, rounds=ROUNDS, warmup_rounds=1)
    benchmark.extra_info |= {"entries": ENTRIES, "bytes": base.nbytes}
    assert np.allclose(np.linalg.norm(base.keys, axis=1), 1.0, atol=1e-5)


def test_save(benchmark: BenchmarkFixture, unit: KnowledgeBase, tmp_path: Path) -> None:
    benchmark.group = "knowledge base"
    benchmark.pedantic(unit.save, (tmp_path,), rounds=ROUNDS, warmup_rounds=1)
    assert len(KnowledgeBase.load(tmp_path)) == ENTRIES


def test_load(benchmark: BenchmarkFixture, unit: KnowledgeBase, tmp_path: Path) -> None:
    unit.save(tmp_path)
    benchmark.group = "knowledge base"
    base = benchmark.pedantic(KnowledgeBase.load, (tmp_path,), rounds=ROUNDS, warmup_rounds=1)
    assert np.array_equal(base.ids, unit.ids)


def test_keys_of_unit_length_are_only_checked(unit: KnowledgeBase, raw: Raw) -> None:
    """No second copy, hence much faster than normalising."""
    ready = (np.array(unit.keys), *raw[1:])
    checked, normalised = medians(
        lambda: KnowledgeBase.build(*ready), lambda: KnowledgeBase.build(*raw)
    )
    print(f"\nchecking takes {checked / normalised:.2f} of normalising")
    assert checked < 0.7 * normalised


def test_twice_the_entries_take_about_twice_as_long(raw: Raw) -> None:
    keys, values, ids = raw
    half = ENTRIES // 2
    part, whole = medians(
        lambda: KnowledgeBase.build(keys[:half], values[:half], ids[:half]),
        lambda: KnowledgeBase.build(*raw),
    )
    print(f"\ntwice the entries: {whole / part:.2f} times as long")
    assert 1.3 < whole / part < 3.5
