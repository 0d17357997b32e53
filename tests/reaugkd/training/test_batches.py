"""Batches: every row once, little padding, each reader's own token ids."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reaugkd.training.batches import Collator, by_length, length_grouped
from tests import tiny


@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=300),
    size=st.integers(1, 9),
    epoch=st.integers(0, 3),
)
def test_every_row_once_per_epoch(lengths: list[int], size: int, epoch: int) -> None:
    batches = length_grouped(lengths, size, seed=0, epoch=epoch)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert max(map(len, batches)) <= size
    assert length_grouped(lengths, size, seed=0, epoch=epoch) == batches


def test_grouping_saves_padding_and_epochs_differ() -> None:
    lengths = np.random.default_rng(0).integers(5, 120, 4000)

    def padded(batches: list[list[int]]) -> int:
        return sum(len(batch) * max(lengths[batch]) for batch in batches)

    grouped = length_grouped(lengths, 32, seed=0, epoch=0)
    shuffled = np.array_split(np.random.default_rng(0).permutation(4000), 125)
    assert padded(grouped) < 1.1 * lengths.sum()
    assert padded([part.tolist() for part in shuffled]) > 1.7 * lengths.sum()
    assert length_grouped(lengths, 32, seed=0, epoch=1) != grouped
    assert [len(batch) for batch in by_length([1, 2, 3, 4, 5], 2)] == [2, 2, 1]


def test_collated_batch_is_padded_to_its_longest_and_no_further() -> None:
    rows = tiny.rows(10)
    batch = Collator(rows, pad_id=3)([4, 2])
    lengths = [rows[4]["length"], rows[2]["length"]]
    assert batch.inputs["input_ids"].shape == (2, max(lengths))
    assert batch.inputs["attention_mask"].sum(dim=1).tolist() == lengths
    assert (batch.inputs["input_ids"][batch.inputs["attention_mask"] == 0] == 3).all()
    assert batch.rows.tolist() == [4, 2]
    assert batch.read_by("teacher") is batch.inputs


def test_each_reader_has_its_own_ids_of_the_same_rows() -> None:
    ours, theirs = tiny.rows(10), tiny.rows(10, seed=3)
    batch = Collator(ours, 0, {"teacher": Collator(theirs, 1)})([4, 2])
    assert batch.read_by("student") is batch.inputs
    assert batch.inputs["input_ids"][0, :3].tolist() == ours[4]["input_ids"][:3]
    assert batch.read_by("teacher")["input_ids"][0, :3].tolist() == theirs[4]["input_ids"][:3]
