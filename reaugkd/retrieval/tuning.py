"""Search effort: the least that reaches a target of recall, at which backends are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import ArrayLike

from reaugkd.retrieval.ann.index import AnnIndex, Ids
from reaugkd.retrieval.normalise import Vectors, unit_rows

if TYPE_CHECKING:
    from reaugkd.retrieval.ann.exact import Exact

TIE = 1e-6
"""An answer this little below the exact k-th similarity counts: duplicates are interchangeable."""

SENSIBLE = 4096
"""Effort that is always worth trying; beyond it no more than a quarter of all entries."""

PATIENCE = 3  # efforts in a row that may find nothing more before the search for a better one ends


@dataclass(frozen=True)
class Tuned:
    """The outcome of :func:`tune`: the least effort with this recall@k, None without a knob."""

    effort: int | None
    recall: float
    target_met: bool


class GroundTruth(Protocol):
    """What an index is tuned against: k neighbours of queries [q, d], and how many were found."""

    queries: Vectors
    k: int

    def recall(self, ids: Ids) -> float:
        """Recall of the answers ``ids`` [q, k] of an index."""


class Truth:
    """The exact answers to queries [q, d], searched once for any number of indexes.

    ``exact`` is over the same vectors; the queries are held out from the knowledge base.
    """

    def __init__(self, exact: Exact, queries: ArrayLike, k: int) -> None:
        self.queries = unit_rows(queries, "query")
        self.k = k
        self._exact = exact
        self.similarities, self.ids = exact.search(self.queries, k)

    def recall(self, ids: Ids) -> float:
        """Recall of the answers ``ids`` [q, k] of another index."""
        return recall_at_k(self._exact.similarities(self.queries, ids), self.similarities)


def recall_at_k(answered: Vectors, exact: Vectors, tie: float = TIE) -> float:
    """The share of exact neighbours that were found, with ties counted as equal.

    Both are exact similarities [q, k], of the answers and of the true neighbours (descending), -inf
    where missing; an answer counts up to ``tie`` below the k-th true one. 1 if nothing is to find.

    >>> recall_at_k(np.array([[0.9, 0.5, 0.1]]), np.array([[0.9, 0.5, 0.5]])).__round__(3)
    0.667
    """
    present = np.isfinite(exact)
    last = np.where(present, exact, np.inf).min(axis=1, keepdims=True)
    hits = (answered >= last - tie).sum(axis=1)
    return float(hits.sum() / max(present.sum(), 1))


def sensible_efforts(index: AnnIndex, k: int, most: int | None = None) -> list[int | None]:
    """The efforts of ``index`` up to ``most``; one without a knob has the one it is set to.

    By default an effort of a quarter of the entries is the last: an index that looks at more of
    them, one by one, is slower than exact search (see results/README.md for keys that are so hard).
    """
    last = max(SENSIBLE, index.size // 4) if most is None else most
    return [effort for effort in index.efforts(k) if effort <= last] or [index.effort]


def tune(
    index: AnnIndex,
    truth: GroundTruth,
    target: float = 0.99,
    *,
    most: int | None = None,
    refine: bool = False,
) -> Tuned:
    """Set ``index.effort`` to the least of its efforts whose recall reaches ``target``.

    Where none does, it is set to the least with the best recall. The ladder is left early when
    :data:`PATIENCE` efforts in a row find nothing more, as on a graph with unreachable elements.
    ``most`` is as in :func:`sensible_efforts`; with ``refine`` the least effort between the last
    two steps of the ladder is looked for as well.
    """

    def at(effort: int | None) -> Tuned:
        index.effort = effort
        recall = truth.recall(index.search(truth.queries, truth.k)[1])
        return Tuned(effort, recall, recall >= target)

    best = Tuned(None, -1.0, target_met=False)
    below: int | None = None
    idle = 0
    for effort in sensible_efforts(index, truth.k, most):
        tried = at(effort)
        if tried.recall > best.recall:
            best, idle = tried, 0
        else:
            idle += 1
        if best.target_met or idle == PATIENCE:
            break
        below = effort
    if refine and best.target_met and below is not None:
        best = _least(at, below, best)
    index.effort = best.effort
    return best


def _least(at: Callable[[int], Tuned], below: int, enough: Tuned) -> Tuned:
    """The least effort above ``below``, which is too low, that reaches the target."""
    while enough.effort is not None and enough.effort - below > 1:
        tried = at((enough.effort + below) // 2)
        if tried.target_met:
            enough = tried
        else:
            below = tried.effort or below
    return enough
