"""Which knowledge base a student queries, and which of them a run wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.config import RetrievalConfig

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


def wanted(
    config: RetrievalConfig, specs: Sequence[str], method: str, seed: int
) -> list[tuple[Base, str]]:
    """The knowledge bases of a student, each with the backend that it lies behind.

    The first of every axis makes the reference, which comes first. ``product`` has every
    combination; ``one-at-a-time`` varies one axis at a time around the reference. Backends of one
    knowledge base follow each other, so that its exact answers are found once.

    Args:
        config: the axes and the design.
        specs: backends.
        method, seed: of the student.
    """
    axes: list[Sequence[str | float]] = [config.keys, config.values, config.share, config.control]
    axes.append(specs)
    points = list(product(*axes))
    if config.design == "one-at-a-time":
        first = points[0]
        points = [first]
        for at in reversed(range(len(axes))):  # backends first: they share the reference
            points += [(*first[:at], value, *first[at + 1 :]) for value in axes[at][1:]]
    return [
        (Base(method, seed, str(keys), str(values), float(share), str(control)), str(spec))
        for keys, values, share, control, spec in points
    ]


def impossible(base: Base, k: int, rows: int, widths: Mapping[str, int]) -> str | None:
    """Why there can be no such knowledge base, or None.

    Args:
        base: the knowledge base.
        k: the largest number of neighbours that is asked for.
        rows: of fit.
        widths: of the embeddings of ``teacher`` and ``student``.
    """
    entries = base.entries(rows)
    if k > entries:
        at = f" at share {percent(base.share)}" if base.share != 1 else ""
        return f"k = {k} is larger than the {entries} entries there are{at}"
    if base.keys == "teacher" and widths["teacher"] != widths["student"]:
        return (
            f"keys 'teacher': the teacher's embedding has {widths['teacher']} dimensions, the "
            f"student's {widths['student']}: use keys 'projected' or 'student'"
        )
    return None
