"""Rows without which student and base would answer otherwise: condensed nearest neighbours."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from reaugkd.retrieval.condense.cells import blocks, means, representatives
from reaugkd.retrieval.condense.classes import Rows, classes_of
from reaugkd.retrieval.condense.condenser import (
    BETA,
    ROWS,
    TAU,
    Asked,
    Condenser,
    Questions,
    rows_of,
)
from reaugkd.retrieval.condense.kmeans import KMeans
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.normalise import unit_rows


class CNN(Condenser):
    """Condensed nearest neighbours (Hart, 1968) for the mixture.

    They are chosen as FCNN does (Angiulli, 2005): it begins with the row nearest to the mean key of
    each class. While some rows of fit are answered otherwise than by the teacher, every entry that
    is the nearest to such rows is joined by the nearest of them: those with most of them first,
    until there are ``entries``. So what is kept does not depend on the order of the rows.

    The answers to agree with are the teacher's, which the full base holds: those of the full base
    itself would have to be searched for, and where the two differ on a row of fit, the base has
    lost what the teacher said.
    """

    name: ClassVar[str] = "cnn"
    makes: ClassVar[str] = ROWS
    asks: ClassVar[bool] = True
    sized: ClassVar[bool | None] = None
    every_class: ClassVar[bool] = True
    scores: ClassVar[bool] = False

    beta: ClassVar[float] = BETA
    tau: ClassVar[float] = TAU

    def condense(self, base: KnowledgeBase, questions: Questions | None) -> KnowledgeBase:
        """Rows of the base as they are, in their order."""
        assert questions is not None  # it asks
        most = len(base) if self.entries is None else self.entries
        state = _Answers(base, questions.fit, self.beta, self.tau)
        new = _centres(base)
        while len(new):
            state.add(new)
            new = state.missing()[: most - len(state.chosen)]
        return rows_of(base, np.sort(state.chosen))


class _Answers:
    """What student and the entries chosen so far answer to each row of fit.

    All of them are neighbours, so what a further one changes is a sum.
    """

    def __init__(self, base: KnowledgeBase, asked: Asked, beta: float, tau: float) -> None:
        self.base, self.student, self.beta, self.tau = base, asked.student, beta, tau
        self.queries = unit_rows(asked.queries, "query")
        self.chosen: Rows = np.empty(0, np.int64)
        self._weights = np.zeros(len(base))
        self._values = np.zeros(base.values.shape)
        self._nearest = np.zeros(len(base), np.int64)
        self._nearness = np.full(len(base), -np.inf, np.float32)

    def add(self, rows: Rows) -> None:
        """Let ``rows`` of the base be entries too."""
        self.chosen = np.concatenate([self.chosen, rows])
        for part in blocks(len(self.base)):
            cosines = self.queries[part] @ self.base.keys[rows].T
            weights = np.exp((cosines.astype(np.float64) - 1.0) / self.tau)
            self._weights[part] += weights.sum(axis=1)
            self._values[part] += weights @ self.base.values[rows]
            best = cosines.argmax(axis=1)
            nearness = cosines[np.arange(len(best)), best]
            nearer = nearness > self._nearness[part]
            self._nearest[part][nearer] = rows[best[nearer]]
            self._nearness[part][nearer] = nearness[nearer]

    def missing(self) -> Rows:
        """The next entries: of the wrong rows around an entry the nearest, most rows first."""
        retrieved = self._values / self._weights[:, None]
        mixed = (1.0 - self.beta) * self.student + self.beta * retrieved
        wrong = mixed.argmax(axis=1) != classes_of(self.base)
        wrong[self.chosen] = False
        rows = np.flatnonzero(wrong)
        rows = rows[np.lexsort((-self._nearness[rows], self._nearest[rows]))]
        _, first, sizes = np.unique(self._nearest[rows], return_index=True, return_counts=True)
        return rows[first[np.argsort(-sizes, kind="stable")]]


def _centres(base: KnowledgeBase) -> Rows:
    """The row nearest to the mean key of each class."""
    cells = KMeans(base.values.shape[1]).cells(base)
    return representatives(base.keys, means(base, cells).keys, cells)
