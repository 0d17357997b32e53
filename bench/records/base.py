"""Which knowledge base a student queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from reaugkd.retrieval import condense
from reaugkd.retrieval.condense import FULL

if TYPE_CHECKING:
    from bench.records.planned import Planned
    from bench.records.run import RetrievalResult

NONE: Final = "none"
SHUFFLED, RANDOM = "shuffled-labels", "random-keys"
FLOAT_BITS = 32
"""Bits of a value that is not rounded."""

NEVER = "never"
"""The rule by which every query is searched."""

USUAL = {
    "condense": FULL,
    "pca": NONE,
    "value_bits": FLOAT_BITS,
    "count_weight": False,
    "skip": NEVER,
}
"""Axis of what makes retrieval cheaper -> what it is where nothing is made cheaper."""

MARGIN = 0.2
"""Points that a cheaper knowledge base may lose, unless a run says otherwise."""

Dims = int | Literal["none"]
"""Dimensions that keys are reduced to; ``none`` where they stay as they are."""


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
        condense: the condenser of the entries, with their number; ``full`` keeps all.
        pca: dimensions that keys and queries are reduced to, before entries are condensed.
        value_bits: of each number of a value, 32 or 8.
        count_weight: whether an entry weighs as much as the rows that it stands for.
    """

    method: str
    seed: int
    keys: str
    values: str
    share: float = 1.0
    control: str = NONE
    condense: str = FULL
    pca: Dims = NONE
    value_bits: int = FLOAT_BITS
    count_weight: bool = False

    def drawn(self, rows: int) -> int:
        """Number of rows of which entries are made if fit has ``rows`` rows, at least one."""
        return max(1, round(self.share * rows))

    def entries(self, rows: int) -> int:
        """Number of entries if fit has ``rows`` rows; at most so many if the condenser chooses."""
        return condense.parse(self.condense).entries or self.drawn(rows)

    def width(self, embedding: int) -> int:
        """Width of the keys where embeddings are ``embedding`` wide."""
        return self.pca if isinstance(self.pca, int) else embedding

    @property
    def label(self) -> str:
        """The knowledge base in a few words; what is as usual is left out."""
        return ", ".join([f"{self.keys} keys", f"{self.values} labels", *unusual(self)])


def unusual(base: Base | Planned | RetrievalResult) -> list[str]:
    """What is not as usual but for keys and values, each in a few words."""
    parts = [f"share {percent(base.share)}"] if base.share not in (None, 1) else []
    parts += [str(base.control).replace("-", " ")] if base.control not in (None, NONE) else []
    return [*parts, *cheaper(base)]


def cheaper(base: Base | Planned | RetrievalResult) -> list[str]:
    """What makes it cheaper."""
    parts = [base.condense] if base.condense != FULL else []
    parts += [f"pca {base.pca}"] if base.pca != NONE else []
    parts += [f"{base.value_bits}-bit values"] if base.value_bits != FLOAT_BITS else []
    parts += ["counts weigh"] if base.count_weight else []
    return parts


def skipping(rule: str) -> list[str]:
    """The same of a rule of skipping."""
    return [f"skip {rule}"] if rule != NEVER else []


def percent(share: float) -> str:
    """``0.1`` as ``10 %``."""
    return f"{100 * share:g} %"
