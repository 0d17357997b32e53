"""Batches: examples of like length together, padded to the longest of the batch and no further."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from reaugkd.batch import Batch

POOL = 50
"""Batches that are sorted by length together; within an epoch the pools are drawn at random."""

INPUTS = ("input_ids", "token_type_ids")


def length_grouped(
    lengths: Sequence[int] | NDArray[Any], batch_size: int, seed: int, epoch: int
) -> list[list[int]]:
    """The batches of one epoch: a random permutation, sorted by length within pools.

    >>> batches = length_grouped([5, 1, 4, 2], batch_size=2, seed=0, epoch=0)
    >>> sorted(sorted(batch) for batch in batches)
    [[0, 2], [1, 3]]
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths))
    size = np.asarray(lengths)
    batches: list[list[int]] = []
    for start in range(0, len(order), POOL * batch_size):
        pool = order[start : start + POOL * batch_size]
        pool = pool[np.argsort(-size[pool], kind="stable")]
        batches += [pool[at : at + batch_size].tolist() for at in range(0, len(pool), batch_size)]
    return [batches[at] for at in generator.permutation(len(batches))]


def by_length(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Batches for inference: longest first, so that memory peaks at once."""
    order = np.argsort(-np.asarray(lengths), kind="stable")
    return [order[at : at + batch_size].tolist() for at in range(0, len(order), batch_size)]


def window_weights(sizes: Sequence[int], accumulation: int) -> list[float]:
    """What the mean loss of each batch of an epoch counts where gradients are accumulated.

    A window is ``accumulation`` batches of ``sizes`` rows, the last one what is left of the epoch.
    accelerate divides a loss by ``accumulation``, whatever the window holds; times these weights
    the gradient is that of the mean loss over the window's rows.

    >>> window_weights([8, 8, 8, 8, 4], accumulation=2)
    [1.0, 1.0, 1.0, 1.0, 2.0]
    >>> window_weights([8, 4], accumulation=2)
    [1.3333333333333333, 0.6666666666666666]
    """
    weights = []
    for start in range(0, len(sizes), accumulation):
        window = sizes[start : start + accumulation]
        weights += [accumulation * size / sum(window) for size in window]
    return weights


class Collator:
    """Turns row numbers of an encoded split into a padded :class:`Batch`.

    ``others`` are collators of the same rows for readers with another tokenizer.
    """

    def __init__(
        self, dataset: Any, pad_id: int, others: Mapping[str, Collator] | None = None
    ) -> None:
        self._dataset, self._others, self._pad_id = dataset, others or {}, pad_id

    def __call__(self, rows: Sequence[int]) -> Batch:
        """Collate ``rows``."""
        examples = self._dataset[list(rows)]
        labels = np.asarray(examples["label"])
        if labels.dtype.kind == "f":
            labels = labels.astype(np.float32)
        return Batch(
            padded(examples, self._pad_id),
            torch.from_numpy(labels),
            torch.as_tensor(rows, dtype=torch.int64),
            {reader: collate(rows).inputs for reader, collate in self._others.items()},
        )


def padded(examples: Mapping[str, Any], pad_id: int) -> dict[str, Tensor]:
    """The inputs [B, L] int64 of examples without padding, and their mask.

    Padding goes to the right whatever the tokenizer's own side is: pooling and positions then do
    not depend on what else is in a batch. Columns that are no inputs are left out.
    """
    ids, values = examples["input_ids"], {"input_ids": pad_id, "token_type_ids": 0}
    longest = max(len(row) for row in ids)
    inputs = {n: _table(examples[n], longest, values[n]) for n in INPUTS if n in examples}
    return {**inputs, "attention_mask": _table([[1] * len(row) for row in ids], longest, 0)}


def _table(rows: list[list[int]], longest: int, value: int) -> Tensor:
    table = np.full((len(rows), longest), value, dtype=np.int64)
    for at, row in enumerate(rows):
        table[at, : len(row)] = row
    return torch.from_numpy(table)


def loader(batches: list[list[int]], collator: Collator, rows: int) -> DataLoader[Batch]:
    """A loader of ``batches``; its own generator leaves torch's global one alone."""
    return DataLoader(
        range(rows),  # type: ignore[arg-type]  # row numbers are the data set; see Collator
        batch_sampler=batches,
        collate_fn=collator,
        generator=torch.Generator().manual_seed(0),
    )
