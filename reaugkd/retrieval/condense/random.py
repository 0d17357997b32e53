"""Rows drawn at random: the baseline that every other condenser has to beat."""

from __future__ import annotations

from typing import ClassVar

from reaugkd.retrieval.condense.condenser import ROWS, Condenser, Questions, rows_of
from reaugkd.retrieval.controls import subset
from reaugkd.retrieval.knowledge_base import KnowledgeBase


class Random(Condenser):
    """Rows drawn at random, in their order; fewer entries are a part of more entries."""

    name: ClassVar[str] = "random"
    makes: ClassVar[str] = ROWS
    draws: ClassVar[bool] = True

    def condense(self, base: KnowledgeBase, questions: Questions | None) -> KnowledgeBase:
        """``entries`` rows of the base."""
        assert self.entries is not None  # it is sized
        return rows_of(base, subset(len(base), self.entries, self.draw))
