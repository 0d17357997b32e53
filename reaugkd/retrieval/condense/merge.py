"""Nearest neighbours of one class put together, the nearest first, again and again."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np

from reaugkd.retrieval.condense.cells import in_order, means
from reaugkd.retrieval.condense.classes import Rows, classes_of, rows_by_class
from reaugkd.retrieval.condense.condenser import MEANS, Condenser, Questions
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.normalise import Vectors


class Merging(Condenser):
    """Greedy merging of nearest neighbours with equal targets.

    As He, Neubig and Berg-Kirkpatrick merge theirs ("Efficient Nearest Neighbor Language Models",
    EMNLP 2021), but in rounds and down to a number. Equal rows are joined first. Then, in a round,
    every entry looks for its nearest neighbour of its class; pairs are joined from the nearest on,
    each entry once, until ``entries`` remain. A joined entry has the direction of the mean key and
    the mean value of all its rows. Classes share the entries as their density has it; the last
    entry of a class has nothing to be joined with. Scores are of one class.

    The first round compares all rows of a class with each other.
    """

    name: ClassVar[str] = "merge"
    makes: ClassVar[str] = MEANS
    every_class: ClassVar[bool] = True

    def condense(self, base: KnowledgeBase, questions: Questions | None) -> KnowledgeBase:
        """One entry per group of joined rows, in the order of their first rows."""
        assert self.entries is not None  # it is sized
        rows_by_class(base)  # each class has some
        classes, merged, cells = classes_of(base), base, np.arange(len(base))
        find = _copies
        while (spare := len(merged) - self.entries) > 0:
            first = np.unique(cells, return_index=True)[1]
            pairs = find(merged.keys, classes[first])
            owners = np.arange(len(merged))
            owners[pairs.joined[:spare]] = pairs.kept[:spare]
            cells = in_order(owners[cells])
            merged, find = means(base, cells), _pairs
        return merged


class _Pairs(NamedTuple):
    """Entries [p] that stay, and those [p] that each is joined by; no entry does both."""

    kept: Rows
    joined: Rows


def _copies(keys: Vectors, classes: Rows) -> _Pairs:
    """Every row that equals an earlier one of its class, and the first of those."""
    labelled = np.column_stack([classes.astype(np.float32), keys])
    _, first, groups = np.unique(labelled, axis=0, return_index=True, return_inverse=True)
    owners = first[groups]
    joined = np.flatnonzero(owners != np.arange(len(keys)))
    return _Pairs(owners[joined], joined)


def _pairs(keys: Vectors, classes: Rows) -> _Pairs:
    """Pairs of neighbours of one class, the nearest first."""
    neighbours, nearness = _nearest_of_class(keys, classes)
    free = np.isfinite(nearness)
    pairs = []
    for row in np.argsort(-nearness, kind="stable"):
        other = neighbours[row]
        if free[row] and free[other]:
            free[row] = free[other] = False
            pairs.append((row, other))
    kept, joined = np.array(pairs).T
    return _Pairs(kept, joined)


def _nearest_of_class(keys: Vectors, classes: Rows) -> tuple[Rows, Vectors]:
    """The nearest other entry [n] of the same class, and its cosine; -inf where there is none."""
    import faiss

    neighbours, nearness = np.zeros(len(keys), np.int64), np.full(len(keys), -np.inf, np.float32)
    for number in np.unique(classes):
        rows = np.flatnonzero(classes == number)
        if len(rows) == 1:
            continue
        members = keys[rows]
        cosines, ids = faiss.knn(members, members, 2, metric=faiss.METRIC_INNER_PRODUCT)
        # An entry finds itself first, unless others equal it.
        column = (ids[:, 0] == np.arange(len(rows))).astype(int)[:, None]
        neighbours[rows] = rows[np.take_along_axis(ids, column, axis=1)[:, 0]]
        nearness[rows] = np.take_along_axis(cosines, column, axis=1)[:, 0]
    return neighbours, nearness
