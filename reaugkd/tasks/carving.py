"""A test split carved out of train: the same rows whatever limit, held-out share and seeds are.

GLUE's dev sets are too small for differences of half a point. Rows of train that nobody learns from
and nothing is chosen on make a test split as large as a claim needs; the splits that a task comes
with are scored beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reaugkd.errors import DataError
from reaugkd.tasks.division import BINS, Rows, score_bins
from reaugkd.tasks.task import Task

PREFIX = "train:"
TEST, DEV = "test", "dev"

SEED = 20_000
"""Of the one order in which rows of train become test rows."""

LONGEST = 64
"""Words of a text in which others are looked for, which takes their square; a long text stands in
an equal one only."""

Words = tuple[str, ...]
Texts = Sequence[tuple[str, ...]]
"""Texts of rows, one or two each."""

_FORM = re.compile(r"(\d+)|(\d+(?:\.\d+)?)\s*%")
_EXPECTED = "expected rows of train as in 'train:4000', or a share of them as in 'train:20%'"


@dataclass(frozen=True)
class CarvedTest:
    """How much of train is the test split: so many ``rows``, or a ``share`` between 0 and 1."""

    rows: int | None = None
    share: float | None = None

    @classmethod
    def parse(cls, text: str) -> CarvedTest:
        """What ``text`` says; a ValueError tells what was expected.

        >>> CarvedTest.parse("train:4000"), CarvedTest.parse("train:12.5%")
        (CarvedTest(rows=4000, share=None), CarvedTest(rows=None, share=0.125))
        """
        form = _FORM.fullmatch(text.removeprefix(PREFIX).strip())
        if not carves(text) or form is None:
            raise ValueError(f"'{text}': {_EXPECTED}")
        rows, percent = form.groups()
        if rows is not None:
            if not int(rows):
                raise ValueError(f"'{text}' has no row: {_EXPECTED}")
            return cls(rows=int(rows))
        if not 0 < float(percent) < 100:
            raise ValueError(f"'{text}' is no part of train: {_EXPECTED}")
        return cls(share=float(percent) / 100)

    def __str__(self) -> str:
        return PREFIX + (f"{self.rows}" if self.share is None else f"{100 * self.share:g}%")

    def size(self, rows: int) -> int:
        """Test rows out of ``rows`` of train.

        >>> CarvedTest(share=0.2).size(67_349)
        13470
        """
        return round(rows * self.share) if self.share is not None else self.rows or 0


def carves(test: str | None) -> bool:
    """Whether a setting names rows of train instead of a file."""
    return test is not None and test.startswith(PREFIX)


def given_names(task: Task) -> dict[str, str]:
    """How the test splits of ``task`` are called beside a carved one: ``test`` becomes ``dev``.

    A DataError tells of a task that has both already.
    """
    if {TEST, DEV} <= {*task.tests}:
        raise DataError(f"{task.title} has a test and a dev split of its own: none can be carved")
    return {name: DEV if name == TEST else name for name in task.tests}


def with_carved_test(task: Task) -> Task:
    """``task`` as it is with a carved test split, which comes first; its own come after.

    >>> from reaugkd.tasks import get_task
    >>> with_carved_test(get_task("mnli")).tests
    ('test', 'dev_matched', 'dev_mismatched')
    """
    return replace(task, tests=(TEST, *given_names(task).values()))


def carve(
    labels: NDArray[Any], task: Task, size: int, *, keep: int, texts: Texts | None = None
) -> tuple[Rows, Rows]:
    """Row numbers that are left of train and those of the test split, each ascending.

    A test row stands in no other row, and rows that stand in one are in neither part: SST-2's train
    is phrases cut out of sentences, and who has seen a phrase of a test sentence has seen a part of
    the answer. Texts stand in one another word for word, whatever their case; a pair only in an
    equal one.

    Rows stand in one order, drawn once and for all, in which every class (of a regression: every
    tenth of the scores) is spread evenly; the first ``size`` that can be test rows are the test
    split. So a smaller one is a part of a larger one, and each class has its share in it, to within
    a row or so.

    Args:
        labels: [n] class ids, or scores.
        task: what they are of.
        size: test rows.
        keep: rows of each class that are never test rows, however large ``size`` is.
        texts: [n] of the rows; without them none stands in another.

    Raises:
        DataError: ``size`` is 0, or more than there are.
    """
    rows = len(labels)
    strata = score_bins(labels, BINS) if task.regression else np.asarray(labels, np.int64)
    nested = None if texts is None else Nested.of(texts)
    able = np.ones(rows, bool) if nested is None else nested.outermost
    order = np.random.default_rng(SEED).permutation(rows)
    order = order[able[order]]
    by_stratum = order[np.argsort(strata[order], kind="stable")]
    counts = np.bincount(strata[order], minlength=strata.max() + 1)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    rank = np.arange(len(order)) - first[strata[by_stratum]]
    of_stratum = counts[strata[by_stratum]]
    free = rank < of_stratum - keep
    if not 0 < size <= np.count_nonzero(free):
        nest = f" and {rows - len(order):,} stand in others" if len(order) < rows else ""
        raise DataError(
            f"{task.title}: {size:,} of the {rows:,} rows of train cannot be a test split: from 1 "
            f"to {np.count_nonzero(free):,} can, as {keep} of every "
            f"{'tenth of the scores' if task.regression else 'class'} are left{nest}"
        )
    place = np.empty(rows, dtype=np.int64)  # in the drawn order, which ends ties
    place[order] = np.arange(len(order))
    spread = np.where(free, (rank + 0.5) / of_stratum, np.inf)
    test = np.sort(by_stratum[np.lexsort((place[by_stratum], spread))][:size])
    within = test if nested is None else nested.within(test)
    return np.setdiff1d(np.arange(rows), within), test


@dataclass(frozen=True)
class Nested:
    """Which rows stand in others.

    Attributes:
        words: [n] the words of each row; of a pair its texts, which are looked for as a whole.
        outermost: [n] whether a row stands in no other one; of equal rows the first does not.
    """

    words: list[Words]
    outermost: NDArray[np.bool_]

    @classmethod
    def of(cls, texts: Texts) -> Nested:
        """Compare all rows with one another; about ten seconds for 67,000 of SST-2."""
        words = [_words(text) for text in texts]
        first = {row: number for number, row in reversed([*enumerate(words)])}
        inner = {part for row in first for part in _parts(row) if part in first}
        outermost = np.zeros(len(words), bool)
        outermost[[number for row, number in first.items() if row not in inner]] = True
        return cls(words, outermost)

    def within(self, rows: Rows) -> Rows:
        """Numbers of all rows that equal one of ``rows`` or stand in one, ascending.

        >>> Nested.of([("a good film",), ("good",), ("bad",), ("Good film",)]).within([0])
        array([0, 1, 3])
        """
        whole = {self.words[row] for row in rows}
        parts = whole.union(*map(_parts, whole))
        return np.flatnonzero([row in parts for row in self.words])


def _words(text: tuple[str, ...]) -> Words:
    plain = [" ".join(one.casefold().split()) for one in text]
    return tuple(plain[0].split(" ")) if len(plain) == 1 else tuple(plain)


def _parts(words: Words) -> Iterator[Words]:
    """All runs of words of a row but itself; of a row that is longer than a sentence none."""
    if len(words) <= LONGEST:
        for start, end in combinations(range(len(words) + 1), 2):
            if end - start < len(words):
                yield words[start:end]


def note(rows: int, of: int, dropped: int) -> str:
    """What a reader should know of a carved test split."""
    nest = f"; left out because they stand in test rows: {dropped:,}" if dropped else ""
    return (
        f"test is {rows:,} of the {of:,} rows of train, the same for all methods and seeds; "
        f"models, knowledge base and choices see none of them{nest}"
    )
