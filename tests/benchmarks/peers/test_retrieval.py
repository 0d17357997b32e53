"""One query, ten neighbours: the query path and other tools' own, taking turns in one loop.

One thread. Microseconds are medians: as queries come, and after 32 MiB have been written to before
each, which leaves the caches about as a student's forward does. Ours start at a student's logits
and a raw embedding and end at the mixture, and so does the hnswlib loop; LangChain and
semantic_search get unit vectors and give neighbours. About five minutes, most of them for building
the graphs over 67,349 vectors (SST-2's rows); ``--peers-vectors 10000`` takes half of one.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from bench.measure.timing import quiet_gc
from tests.benchmarks.peers import table
from tests.benchmarks.peers.bed import Bed, K, Store
from tests.benchmarks.peers.stores import CONDENSED, EXACT, RIVALS, STORES, installed

CHECKED = 50


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    sizes = metafunc.config.getoption("peers_vectors")
    if "bed" in metafunc.fixturenames:
        metafunc.parametrize("bed", [int(size) for size in sizes.split(",")], indirect=True)


@pytest.fixture(scope="module")
def bed(request: pytest.FixtureRequest) -> Bed:
    return Bed(request.param, request.config.getoption("peers_queries"))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.inference_mode(), threadpool_limits(1), quiet_gc():
        yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.parametrize("name", RIVALS)
def test_the_same_index_gives_the_same_neighbours(bed: Bed, name: str) -> None:
    library, make = STORES[name]
    if library is not None:
        pytest.importorskip(library, reason=f"needs {library}: `tox run -e peers`")
    theirs, ours = make(bed), STORES[RIVALS[name]][1](bed)
    for number in range(min(CHECKED, bed.count)):
        assert list(theirs.rows(number)) == list(ours.rows(number))
        if theirs.answer is not None and ours.answer is not None:
            assert theirs.answer(number) == pytest.approx(ours.answer(number), abs=1e-4)


def microseconds(stores: dict[str, Store], count: int, *, flushed: bool) -> dict[str, float]:
    """The median of each store, in one loop in alternating order."""
    memory = np.zeros(8 << 20, np.float32)
    times: dict[str, list[int]] = {name: [] for name in stores}
    for number in range(count):
        for which, name in sorted(enumerate(stores), reverse=bool(number % 2)):
            if flushed:
                memory += 1.0
            # Each its own query: the way of another tool's would be in the caches already.
            asked = (number + which * count // len(stores)) % count
            start = perf_counter_ns()
            stores[name].ask(asked)
            times[name].append(perf_counter_ns() - start)
    return {name: statistics.median(each) / 1e3 for name, each in times.items()}


def quality(stores: dict[str, Store], count: int) -> dict[str, dict[str, Any]]:
    """Share of the exact neighbours that are found, and of answers that are those of exact search.

    A base of other entries has no neighbours in common, a tool without a mixture no answers.
    """
    exact = stores[EXACT]
    assert exact.answer is not None
    truth = [set(exact.rows(number)) for number in range(count)]
    said = [int(exact.answer(number).argmax()) for number in range(count)]
    shares: dict[str, dict[str, Any]] = {}
    for name, store in stores.items():
        hits = [len(truth[number] & set(store.rows(number))) / K for number in range(count)]
        recall = None if name == CONDENSED else statistics.fmean(hits)
        equal = None
        if store.answer is not None:
            own = [int(store.answer(number).argmax()) for number in range(count)]
            equal = 100 * statistics.fmean(map(int.__eq__, own, said))
        shares[name] = {"recall": recall, "equal answers, %": equal}
    return shares


@pytest.mark.slow
def test_one_query_of_every_tool(bed: Bed, file: Path | None) -> None:
    stores = installed(bed)
    microseconds(stores, min(CHECKED, bed.count), flushed=False)
    hot = microseconds(stores, bed.count, flushed=False)
    cold = microseconds(stores, bed.count, flushed=True)
    shares = quality(stores, bed.count)
    rows = [
        {
            "tool": name,
            "us": hot[name],
            "us, flushed": cold[name],
            "to ours": hot[name] / hot[RIVALS[name]] if name in RIVALS else None,
            "to ours, flushed": cold[name] / cold[RIVALS[name]] if name in RIVALS else None,
            "to condensed": hot[name] / hot[CONDENSED],
            **shares[name],
        }
        for name in stores
    ]
    of = {"vectors": bed.size, "width": bed.base.width, "k": K, "queries": bed.count}
    print(f"\n{of}\n{table.write('one query', rows, of, file)}")
    for name in RIVALS.keys() & stores.keys():
        assert hot[name] > hot[RIVALS[name]], f"{name} is faster than {RIVALS[name]}"
