"""Prototypes that are learned, so that student and base answer as the teacher does."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from reaugkd.retrieval.condense.cells import Cells, assigned, counts_of, means, representatives
from reaugkd.retrieval.condense.classes import rows_by_class
from reaugkd.retrieval.condense.condenser import (
    BETA,
    TAU,
    TRAINED,
    Condenser,
    Questions,
    entries_of,
)
from reaugkd.retrieval.condense.kmeans import KMeans
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.normalise import Vectors


class Learned(Condenser):
    """Stochastic neighbour compression (Kusner et al., ICML 2014), with our mixture as the model.

    From the entries of ``kmeans`` on, keys and values are trained so that the mixture of the
    student's answer to a row of fit with the entries' answer to its embedding is the teacher's, by
    cross-entropy (scores: squared error). Held-out rows with their true labels say when to stop.
    Nothing runs but products of cached embeddings.

    A row counts for the nearest entry among those that began in its class. Adam works by
    component, so that turned keys give slightly other entries.
    """

    name: ClassVar[str] = "learned"
    makes: ClassVar[str] = TRAINED
    asks: ClassVar[bool] = True
    draws: ClassVar[bool] = True
    every_class: ClassVar[bool] = True

    beta: ClassVar[float] = BETA
    tau: ClassVar[float] = TAU

    def condense(self, base: KnowledgeBase, questions: Questions | None) -> KnowledgeBase:
        """The trained entries, in the order of those that they began as."""
        from reaugkd.retrieval.condense import prototypes

        assert questions is not None  # it asks
        cells = KMeans(self.entries, self.draw).cells(base)
        keys, values = prototypes.learned(
            means(base, cells),
            base.values,
            questions,
            beta=self.beta,
            tau=self.tau,
            seed=self.draw,
        )
        cells = _reassigned(base, keys, cells)
        counts = np.bincount(cells, weights=counts_of(base)).astype(np.int64)
        return entries_of(base, keys, values, representatives(base.keys, keys, cells), counts)


def _reassigned(base: KnowledgeBase, keys: Vectors, cells: Cells) -> Cells:
    """The cell [n] of each row: the nearest of ``keys`` among those of its class, none empty."""
    nearest = np.empty_like(cells)
    for rows in rows_by_class(base):
        of_class = np.unique(cells[rows])
        nearest[rows] = of_class[assigned(base.keys[rows], keys[of_class])]
    return nearest
