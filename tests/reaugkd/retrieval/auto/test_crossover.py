"""Laws of the fitted costs and of the crossover."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reaugkd.retrieval.ann.auto import crossover
from reaugkd.retrieval.ann.auto.calibrate import GRAPH_SIZES
from reaugkd.retrieval.ann.auto.crossover import HORIZON, MOST_GROWTH, SearchCost
from reaugkd.retrieval.ann.auto.search_times import CALLS
from tests.calibrations import Time, calibration, candidate, exact, graph

SIZES = np.unique(np.geomspace(1, 1e8, 50).astype(int))

exacts = st.builds(SearchCost, st.floats(0, 1e4), st.floats(1e-4, 10))
candidates = st.builds(
    lambda first, scales, exponent: {
        "exact": first,
        **{f"g{n}": SearchCost(scale=s, exponent=exponent) for n, s in enumerate(scales)},
    },
    exacts,
    st.lists(st.floats(0.01, 1e4), min_size=1, max_size=4),
    st.floats(0, MOST_GROWTH),
)


def fitted(batch: int, **times: Time) -> dict[str, SearchCost]:
    return crossover.costs(calibration(times=times).measured, batch)


@pytest.mark.parametrize("batch", CALLS)
def test_times_that_follow_the_models_are_fitted_without_an_error(batch: int) -> None:
    found = fitted(batch, exact=exact, hnswlib=graph)
    for size in (1, 635, 392_702):
        assert found["exact"](size) == pytest.approx(exact(size, batch), rel=1e-6)
        assert found["hnswlib"](size) == pytest.approx(graph(size, batch), rel=1e-6)


@given(candidates)
def test_once_a_graph_wins_it_wins_at_every_larger_size(found: dict[str, SearchCost]) -> None:
    chosen = [crossover.fastest(found, int(size)) for size in SIZES]
    first = next((n for n, spec in enumerate(chosen) if spec != "exact"), len(chosen))
    assert all(spec == "exact" for spec in chosen[:first])
    assert "exact" not in chosen[first:]


@given(candidates)
def test_beyond_the_crossover_the_choice_is_the_fastest(found: dict[str, SearchCost]) -> None:
    end = crossover.crossover(found)
    assert end is not None
    for size in SIZES[end < SIZES]:
        chosen = found[crossover.fastest(found, int(size))](size)
        assert chosen == min(found[s](size) for s in found if s != "exact")
        assert chosen <= found["exact"](size) * (1 + 1e-9)


@given(candidates)
def test_at_the_crossover_exact_still_holds_and_one_entry_later_it_does_not(
    found: dict[str, SearchCost],
) -> None:
    end = crossover.crossover(found)
    assert end is not None
    best = [min(found[s](n) for s in found if s != "exact") for n in (end, end + 1)]
    if 0 < end < HORIZON:
        assert found["exact"](end) <= best[0]
    if end < HORIZON:
        assert found["exact"](end + 1) > best[1]


def test_between_two_batches_the_time_of_a_call_is_interpolated() -> None:
    at = {b: fitted(b, exact=exact, hnswlib=graph) for b in (8, 14, 32)}
    for spec, size in (("exact", 5_000), ("hnswlib", GRAPH_SIZES[0])):
        low, middle, high = (at[b][spec](size) for b in (8, 14, 32))
        assert middle == pytest.approx(0.75 * low + 0.25 * high)


def test_graphs_share_one_growth_and_keep_their_levels() -> None:
    def steep(size: int, batch: int) -> float:
        return 1e-3 * size**2 * batch

    def flat(size: int, batch: int) -> float:
        return 40.0 * batch

    found = fitted(1, exact=exact, hnswlib=graph, faiss=flat, svs=steep)
    exponents = [cost.exponent for spec, cost in found.items() if spec != "exact"]
    assert exponents == pytest.approx([0.3] * 3)  # the median of 0, 0.3 and 2
    middle = float(np.sqrt(np.prod(GRAPH_SIZES)))  # of the measured sizes
    assert found["faiss"](middle) == pytest.approx(40.0)


@given(st.lists(st.floats(1, 1e6), min_size=3, max_size=3))
def test_exact_search_grows_whatever_was_measured(times: list[float]) -> None:
    by_size = dict(zip((1_000, 4_000, 16_000), times, strict=True))
    cost = fitted(1, exact=lambda n, b: by_size[n])["exact"]
    assert cost.fixed >= 0
    assert cost.per_entry > 0


def test_a_candidate_that_misses_the_recall_has_no_cost() -> None:
    short = candidate("faiss", lambda n, b: 1.0, recall=0.98)
    found = crossover.costs(calibration(more=(short,)).measured, 1)
    assert set(found) == {"exact", "hnswlib"}
    assert short.flaw == "reaches a recall of 0.980, not 0.99"
