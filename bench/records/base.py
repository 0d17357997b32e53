"""Which knowledge base a student queries."""

from __future__ import annotations

from dataclasses import dataclass

NONE, SHUFFLED, RANDOM = "none", "shuffled-labels", "random-keys"


@dataclass(frozen=True)
class Base:
    """Which knowledge base a student queries.

    Attributes:
        method, seed: of the student.
        keys: ``projected`` teacher embeddings, plain ``teacher`` ones, or the ``student``'s own.
        values: ``soft`` labels of the teacher, the true labels (``hard``), or soft labels of
            teachers that never saw the row (``cross-fitted``).
        share: of the rows of fit that are entries, a random subset drawn by ``seed``.
        control: ``none``; ``shuffled-labels``, the values permuted among the entries; or
            ``random-keys``, random unit vectors in place of the keys.
    """

    method: str
    seed: int
    keys: str
    values: str
    share: float = 1.0
    control: str = NONE

    def entries(self, rows: int) -> int:
        """Number of entries if fit has ``rows`` rows, at least one."""
        return max(1, round(self.share * rows))

    @property
    def label(self) -> str:
        """The knowledge base in a few words; what is as usual is left out."""
        parts = [f"{self.keys} keys", f"{self.values} labels"]
        parts += [f"share {percent(self.share)}"] if self.share != 1 else []
        parts += [self.control.replace("-", " ")] if self.control != NONE else []
        return ", ".join(parts)


def percent(share: float) -> str:
    """``0.1`` as ``10 %``."""
    return f"{100 * share:g} %"
