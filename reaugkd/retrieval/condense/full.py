"""The whole knowledge base, as it is."""

from __future__ import annotations

from typing import ClassVar

from reaugkd.retrieval.condense.condenser import ROWS, Condenser, Questions
from reaugkd.retrieval.knowledge_base import KnowledgeBase


class Full(Condenser):
    """Every row is an entry."""

    name: ClassVar[str] = "full"
    makes: ClassVar[str] = ROWS
    sized: ClassVar[bool | None] = False

    def condense(self, base: KnowledgeBase, questions: Questions | None) -> KnowledgeBase:
        """The base itself."""
        return base
