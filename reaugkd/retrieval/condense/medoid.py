"""Real rows in the middle of those that lie together: they have a text to show."""

from __future__ import annotations

from typing import ClassVar

from reaugkd.retrieval.condense.cells import means, representatives
from reaugkd.retrieval.condense.condenser import ROWS, Condenser, Questions, entries_of
from reaugkd.retrieval.condense.kmeans import KMeans
from reaugkd.retrieval.knowledge_base import KnowledgeBase


class Medoid(Condenser):
    """Of each cell of ``kmeans`` the row that is nearest to its centre, with the cell's count."""

    name: ClassVar[str] = "medoid"
    makes: ClassVar[str] = ROWS
    draws: ClassVar[bool] = True
    every_class: ClassVar[bool] = True

    def condense(self, base: KnowledgeBase, questions: Questions | None) -> KnowledgeBase:
        """Rows of the base as they are, in the order of the first rows of their cells."""
        cells = KMeans(self.entries, self.draw).cells(base)
        centres = means(base, cells)
        rows = representatives(base.keys, centres.keys, cells)
        return entries_of(base, base.keys[rows], base.values[rows], rows, centres.counts)
