"""How entries are shared and cells made: laws of the parts that condensers have in common."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from reaugkd.retrieval import condense
from reaugkd.retrieval.condense.cells import assigned, in_order, means, without_empty
from reaugkd.retrieval.condense.classes import shares
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from tests.reaugkd.retrieval.condense.cases import assert_equal, blobs

SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=30)


@given(SIZES, st.data())
def test_shares_sum_to_the_entries_and_fit_their_classes(
    sizes: list[int], data: st.DataObject
) -> None:
    entries = data.draw(st.integers(len(sizes), sum(sizes)))
    shared = shares(sizes, entries)
    assert sum(shared) == entries
    assert all(1 <= share <= size for share, size in zip(shared, sizes, strict=True))
    if entries < sum(sizes):
        more = shares(sizes, entries + 1)
        assert all(after >= before for after, before in zip(more, shared, strict=True))


def test_shares_follow_the_square_root() -> None:
    assert shares([10_000, 2_500, 100], 160) == [100, 50, 10]
    assert shares([3, 3, 3], 9) == [3, 3, 3]


@given(st.lists(st.integers(0, 5), min_size=6, max_size=40), st.integers(0, 9))
def test_no_cell_stays_empty_and_full_ones_keep_their_rows(cells: list[int], seed: int) -> None:
    before = np.array(cells)
    nearness = np.random.default_rng(seed).random(len(cells)).astype(np.float32)
    after = without_empty(before, nearness, 6)
    assert set(after) == set(range(6))
    assert np.count_nonzero(after != before) == 6 - len(set(cells))


@settings(max_examples=30)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.integers(0, 9))
def test_means_are_means_whatever_stands_for_how_many(cells: list[int], seed: int) -> None:
    """A base with counts is condensed as the base in which each row stands that many times."""
    random = np.random.default_rng(seed)
    counts, rows = random.integers(1, 5, len(cells)), np.arange(len(cells))
    numbers = in_order(np.array(cells))
    keys, values = random.standard_normal((len(cells), 4)), random.dirichlet([1] * 3, len(cells))
    counted = means(KnowledgeBase.build(keys, values, rows, counts=counts), numbers)
    often = np.repeat(rows, counts)
    spelled_out = means(KnowledgeBase.build(keys[often], values[often], often), numbers[often])
    np.testing.assert_allclose(counted.keys, spelled_out.keys, atol=1e-6)
    np.testing.assert_allclose(counted.values, spelled_out.values, atol=1e-6)
    np.testing.assert_array_equal(counted.ids, spelled_out.ids)
    total = counts.sum() if counted.counts is None else counted.counts.sum()
    assert total == (len(counted) if counted.counts is None else counts.sum())


def test_a_cell_for_each_row_is_the_base_bit_for_bit() -> None:
    base = blobs(3)
    assert_equal(means(base, np.arange(len(base))), base)


def test_rows_go_to_their_nearest_centre() -> None:
    base, centres = blobs(3), blobs(3, rows=1).keys
    cells = assigned(base.keys, centres)
    np.testing.assert_array_equal(cells, (base.keys @ centres.T).argmax(axis=1))


@given(st.sampled_from(list(condense.CONDENSERS)), st.integers(1, 999), st.integers(0, 9))
def test_a_spec_is_read_as_it_is_written(name: str, entries: int, draw: int) -> None:
    spec = condense.Spec(name, entries, draw)
    assert condense.parse(str(spec)) == spec
    assert condense.parse(spec.drawless) == spec._replace(draw=0)
