"""What a condenser is: from a knowledge base to one with fewer entries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from reaugkd.errors import UserError
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.normalise import Vectors


@dataclass(frozen=True, eq=False)
class Asked:
    """What a student asks of a knowledge base, and what it says on its own.

    Attributes:
        queries: [q, d] float32: its embeddings, as wide as the keys.
        student: [q, C]: its own probabilities, or scores (C = 1).
        labels: [q]: the true class ids, or scores.
    """

    queries: Vectors
    student: NDArray[Any]
    labels: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Questions:
    """The rows of fit, in the order of the full base, and those that are held out."""

    fit: Asked
    held_out: Asked


class Condenser(ABC):
    """Makes a knowledge base of few entries stand for one of many.

    Args:
        entries: how many to make; None where that is the condenser's own choice.
        draw: of its random numbers.

    Raises:
        UserError: if it needs a number of entries and has none, or takes none and has one.
    """

    name: ClassVar[str]
    asks: ClassVar[bool] = False
    """Whether it needs to know what a student asks."""
    sized: ClassVar[bool | None] = True
    """Whether it needs a number of entries; None where it may have one."""
    version: ClassVar[int] = 1
    """Raised when it would make other entries than before: part of what identifies them."""

    def __init__(self, entries: int | None = None, draw: int = 0) -> None:
        if self.sized and entries is None:
            raise UserError(f"condenser '{self.name}' needs a number of entries: {self.name}:256")
        if self.sized is False and entries is not None:
            raise UserError(f"condenser '{self.name}' takes no number of entries")
        if entries == 0:
            raise UserError(f"condenser '{self.name}:0': a knowledge base has at least one entry")
        self.entries, self.draw = entries, draw

    def __call__(self, base: KnowledgeBase, questions: Questions | None = None) -> KnowledgeBase:
        """The condensed base; its manifest is that of ``base``.

        Raises:
            UserError: if there are fewer rows than entries, fewer entries than classes where every
                class needs one, or no questions where they are needed.
        """
        if self.entries is not None and self.entries > len(base):
            raise UserError(
                f"condenser '{self.name}:{self.entries}' makes more entries than the {len(base)} "
                "rows there are"
            )
        if self.asks and questions is None:
            raise UserError(f"condenser '{self.name}' needs a student's answers")
        return self.condense(base, questions)

    @abstractmethod
    def condense(self, base: KnowledgeBase, questions: Questions | None) -> KnowledgeBase:
        """What :meth:`__call__` gives for what it has checked."""


def rows_of(base: KnowledgeBase, rows: NDArray[np.int64]) -> KnowledgeBase:
    """The entries ``rows`` of ``base``, as they are."""
    counts = None if base.counts is None else base.counts[rows]
    return KnowledgeBase.build(
        base.keys[rows], base.values[rows], base.ids[rows], base.manifest, counts
    )
