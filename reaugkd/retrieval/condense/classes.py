"""Rows by class, and how many entries each class gets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reaugkd.errors import UserError
from reaugkd.retrieval.knowledge_base import KnowledgeBase

Rows = NDArray[np.int64]


def classes_of(base: KnowledgeBase) -> Rows:
    """The class [n] of each entry: the most likely one of its value; 0 for scores."""
    classes: Rows = base.values.argmax(axis=1)
    return classes


def rows_by_class(base: KnowledgeBase) -> list[Rows]:
    """The rows of every class, ascending; scores (C = 1) are all of one class.

    Raises:
        UserError: if a class has no rows.
    """
    classes = classes_of(base)
    members = [np.flatnonzero(classes == number) for number in range(base.values.shape[1])]
    for number, rows in enumerate(members):
        if not len(rows):
            raise UserError(
                f"class {number} is the most likely one of no row of the knowledge base: only "
                "'full' and 'random' condense a base without rows of a class"
            )
    return members


def shares(sizes: Sequence[int], entries: int) -> list[int]:
    """How many of ``entries`` each class gets, by the square root of its size.

    At least one and at most its size. The quotients of Sainte-Laguë decide who gets the next, so
    more entries never take one away. Both ``len(sizes) <= entries <= sum(sizes)`` must hold.

    >>> shares([900, 100], 4), shares([900, 2], 10)
    ([3, 1], [9, 1])
    """
    quotients = np.concatenate(
        [np.sqrt(size) / (2 * np.arange(1, size) + 1) for size in sizes]  # of its second on
    )
    owners = np.repeat(np.arange(len(sizes)), np.array(sizes) - 1)
    winners = owners[np.argsort(-quotients, kind="stable")[: entries - len(sizes)]]
    return [1 + int(more) for more in np.bincount(winners, minlength=len(sizes))]
