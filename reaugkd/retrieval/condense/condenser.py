"""What a condenser is: from a knowledge base to one with fewer entries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from reaugkd.errors import UserError
from reaugkd.retrieval.condense import Spec
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.normalise import Vectors

BETA = 0.9
"""Weight of what was retrieved in the mixture that entries are chosen or learned for.

k, beta and tau are chosen again for the condensed base. On the rows that it was trained on a
student is surer than on new ones: a larger share of it would leave hardly anything to learn.
"""

TAU = 0.05
"""Temperature in that mixture, over all entries: the least that a sweep tries.

So cold, the nearest few have nearly all of the weight, and what holds over all entries holds over
the k that are searched for.
"""


ROWS, MEANS, TRAINED = "rows", "means", "trained"
"""What entries can be made of: rows as they are; several rows, so that only one that stands for a
single row is that row; or all rows, so that none is."""


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
        UserError: if it needs a number of entries and has none, or takes none and has one, or has
            a draw and no random numbers.
    """

    name: ClassVar[str]
    asks: ClassVar[bool] = False
    """Whether it needs to know what a student asks."""
    sized: ClassVar[bool | None] = True
    """Whether it needs a number of entries; None where it may have one, its most."""
    draws: ClassVar[bool] = False
    """Whether it has random numbers, so that another draw gives other entries."""
    every_class: ClassVar[bool] = False
    """Whether it makes an entry of every class, and so needs rows of each."""
    scores: ClassVar[bool] = True
    """Whether it condenses a knowledge base of scores (C = 1)."""
    makes: ClassVar[str] = TRAINED
    """What its entries are made of: :data:`ROWS`, :data:`MEANS` or, if it does not say,
    :data:`TRAINED`. It decides which can be removed from a base."""
    version: ClassVar[int] = 1
    """Raised when it would make other entries than before: part of what identifies them."""

    def __init__(self, entries: int | None = None, draw: int = 0) -> None:
        if self.sized and entries is None:
            raise UserError(f"condenser '{self.name}' needs a number of entries: {self.name}:256")
        if self.sized is False and entries is not None:
            raise UserError(f"condenser '{self.name}' takes no number of entries")
        if entries == 0:
            raise UserError(f"condenser '{self.name}:0': a knowledge base has at least one entry")
        if draw and not self.draws:
            raise UserError(f"condenser '{self.name}' draws nothing at random: leave '@{draw}' out")
        self.entries, self.draw = entries, draw

    def require(self, rows: int, classes: int) -> None:
        """Check against the rows and the width of the values of a base that is not there yet.

        Raises:
            UserError: if there are fewer rows than entries, fewer entries than classes where every
                class needs one, or scores that it cannot condense.
        """
        if classes == 1 and not self.scores:
            raise UserError(f"condenser '{self.name}' is for classes: a score has no other side")
        if self.entries is None:
            return
        spec = f"{self.name}:{self.entries}"
        if self.entries > rows:
            raise UserError(f"condenser '{spec}' makes more entries than the {rows} rows there are")
        if self.every_class and self.entries < classes:
            raise UserError(
                f"condenser '{spec}' makes fewer entries than the {classes} classes there are, "
                "each of which needs one"
            )

    def __call__(self, base: KnowledgeBase, questions: Questions | None = None) -> KnowledgeBase:
        """The condensed base of ``base``, whose values are float32.

        Its manifest is that of ``base`` with the spec as ``condense``, behind those that it was
        condensed by before.

        As many entries as there are rows are the base itself.

        Raises:
            UserError: as :meth:`require`, or if there are no questions where they are needed, not
                one per row, of another width than the keys, or no rows of a class that needs an
                entry.
        """
        self.require(len(base), base.values.shape[1])
        if base.values.dtype != np.float32:
            raise UserError(
                f"condenser '{self.name}': the values are {base.values.dtype}: condense first, "
                "round afterwards"
            )
        if self.asks:
            self._check(base, questions)
        if self.sized and self.entries == len(base):
            return base
        condensed = self.condense(base, questions)
        if condensed is base:
            return base
        specs = [base.manifest.get("condense"), str(Spec(self.name, self.entries, self.draw))]
        manifest = {**base.manifest, "condense": ", ".join(filter(None, specs))}
        return replace(condensed, manifest=manifest)

    def _check(self, base: KnowledgeBase, questions: Questions | None) -> None:
        if questions is None:
            raise UserError(f"condenser '{self.name}' needs a student's answers")
        if len(questions.fit.queries) != len(base):
            raise UserError(
                f"condenser '{self.name}' needs a question per row of the knowledge base: "
                f"{len(questions.fit.queries)} questions, {len(base)} rows"
            )
        if questions.fit.queries.shape[1] != base.keys.shape[1]:
            raise UserError(
                f"condenser '{self.name}': questions are {questions.fit.queries.shape[1]} wide, "
                f"the keys {base.keys.shape[1]}"
            )

    @abstractmethod
    def condense(self, base: KnowledgeBase, questions: Questions | None) -> KnowledgeBase:
        """What :meth:`__call__` gives for what it has checked."""


def entries_of(
    base: KnowledgeBase,
    keys: Vectors,
    values: NDArray[Any],
    rows: NDArray[np.int64],
    counts: NDArray[np.int64] | None,
) -> KnowledgeBase:
    """Entries in the place of those of ``base``: each with the id of its row, of ``rows``.

    What else there is of the base, its manifest at least, stays.
    """
    checked = KnowledgeBase.build(keys, values, base.ids[rows], counts=counts)
    return replace(
        base, keys=checked.keys, values=checked.values, ids=checked.ids, counts=checked.counts
    )


def rows_of(base: KnowledgeBase, rows: NDArray[np.int64]) -> KnowledgeBase:
    """The entries ``rows`` of ``base``, as they are."""
    counts = None if base.counts is None else base.counts[rows]
    return entries_of(base, base.keys[rows], base.values[rows], rows, counts)
