"""Smaller knowledge bases, and knowledge bases that must not help; equal seeds, equal results."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


def subset(rows: int, entries: int, seed: int) -> Rows:
    """``entries`` of ``rows`` row numbers, ascending; fewer entries are a part of more entries.

    >>> subset(6, 6, seed=0)
    array([0, 1, 2, 3, 4, 5])
    >>> set(subset(6, 2, seed=0)) < set(subset(6, 4, seed=0))
    True
    """
    return np.sort(_generator(seed, 0).permutation(rows)[:entries])


def shuffled(values: NDArray[Any], seed: int) -> NDArray[Any]:
    """The values [n, C] permuted among the entries: none says anything of its key any more.

    Their mean is what it was, so mixing them in still draws answers towards the prior of the
    labels.
    """
    return values[_generator(seed, 1).permutation(len(values))]


def random_keys(entries: int, width: int, seed: int) -> NDArray[np.float32]:
    """Random unit vectors [entries, width] in place of keys: nearness means nothing any more."""
    drawn = _generator(seed, 2).standard_normal((entries, width))
    unit: NDArray[np.float32] = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(
        np.float32
    )
    return unit


def _generator(seed: int, purpose: int) -> np.random.Generator:
    """A stream of its own for every purpose: a subset is not drawn by the shuffle's numbers."""
    return np.random.default_rng([seed, purpose])
