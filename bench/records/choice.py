"""Which copy of each cell a merged run takes, and where copies contradict each other.

There is one cell of a label, and the cells of a row of a report, which differ in their seed alone,
have one recipe. Copies are taken in order of preference, students first; one that does not go with
what is taken already is refused, and with it whatever stands on it.
"""

from __future__ import annotations

import filecmp
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.records.differences import SHOWN, Differing, differing, recipe
from bench.records.planned import Planned
from bench.records.run import Record, comparable
from bench.records.store import Problem, Store, StoreError

Prefer = Literal["first", "newest"]


@dataclass(frozen=True)
class Copy:
    """A planned cell of one run, the ``number``-th of all, with its record if it has a usable one.

    ``raw`` is what the run's plan says of the cell.
    """

    run: str
    number: int
    store: Store
    plan: Planned
    record: Record | None
    raw: dict[str, Any]

    @property
    def ok(self) -> bool:
        """Whether it ended well."""
        return self.record is not None and self.record.status == "ok"

    def file(self, suffix: str) -> Path:
        """Of the record (``.json``) or its arrays (``.npz``)."""
        return self.store.cells / f"{self.plan.key}{suffix}"

    @cached_property
    def outputs(self) -> dict[str, NDArray[Any]] | Problem:
        """The arrays beside the record, empty if there are none, or why they cannot be used."""
        try:
            return self.store.arrays(self.plan.key)
        except StoreError as error:
            return Problem(self.file(".npz"), str(error))


@dataclass(frozen=True)
class Conflict:
    """A cell of which two runs say different things: that of ``taken`` is taken.

    In ``what`` differs, the value of the run that is taken stands before that of the other.
    """

    cell: str
    what: str
    taken: str
    other: str

    @property
    def text(self) -> str:
        """In one line."""
        return f"{self.cell} in {self.taken} and {self.other}: {self.what}"


@dataclass
class MergeChoice:
    """The cells of a merged run, taken one by one.

    Attributes:
        cells: label -> the copy that is taken.
        conflicts: where runs contradict each other, by label and run.
        problems: outputs that could not be used.
    """

    cells: dict[str, Copy] = field(default_factory=dict)
    conflicts: dict[tuple[str, str], Conflict] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _rows: dict[str, Copy] = field(default_factory=dict)
    _keys: dict[str, Copy] = field(default_factory=dict)
    _refused: set[tuple[int, str | None]] = field(default_factory=set)
    """Number of a run, with a key or a row of which it has another cell than what is taken."""

    def add(self, copy: Copy) -> None:
        """Take ``copy`` unless its cell is taken or something is against it."""
        plan = copy.plan
        if self._refused & {(copy.number, plan.needs), (copy.number, plan.row)}:
            self._refused.add((copy.number, plan.key))
        elif conflict := self._conflict(copy):
            self.conflicts.setdefault((conflict.cell, conflict.other), conflict)
            self._refused.add((copy.number, plan.key))
        elif plan.label not in self.cells:
            self.cells[plan.label] = self._keys[plan.key] = copy
            if copy.record:
                self._rows.setdefault(plan.row, copy)

    def _conflict(self, copy: Copy) -> Conflict | None:
        """What is against taking ``copy``."""
        plan = copy.plan
        head, same = self._rows.get(plan.row), self.cells.get(plan.label)
        if head and head.record and copy.record:
            first, other = (recipe(record.identity) for record in (head.record, copy.record))
            if first != other:
                self._refused.add((copy.number, plan.row))  # what is only planned has no other one
                return Conflict(plan.row, _few(differing(first, other)), head.run, copy.run)
        if same and (what := _contradiction(same, copy)):
            return Conflict(plan.label, what, same.run, copy.run)
        named = self._keys.get(plan.key)
        if named and named.plan.label != plan.label:
            what = f"one cell under two names, {named.plan.label} and {plan.label}"
            return Conflict(plan.label, what, named.run, copy.run)
        return None


def choose(copies: Sequence[Copy], prefer: Prefer | None) -> MergeChoice:
    """One copy per cell, of one recipe per row, in the order in which the runs planned them."""
    by_key: dict[str, list[Copy]] = {}
    for copy in copies:
        by_key.setdefault(copy.plan.key, []).append(copy)
    damaged = [copy for same in by_key.values() for copy in _damaged(same)]
    choice = MergeChoice(problems=[c.outputs for c in damaged if isinstance(c.outputs, Problem)])
    for copy in sorted(copies, key=_rank(prefer, {id(copy) for copy in damaged})):
        choice.add(copy)
    labels = dict.fromkeys(copy.plan.label for copy in copies)
    choice.cells = {label: choice.cells[label] for label in labels if label in choice.cells}
    return choice


def _rank(prefer: Prefer | None, damaged: set[int]) -> Callable[[Copy], tuple[Any, ...]]:
    """Sorts students first, then what ended well, whole outputs, and what is preferred."""

    def age(copy: Copy) -> float:
        time = copy.record.provenance.time if copy.record and prefer == "newest" else None
        return -datetime.fromisoformat(time).timestamp() if time else 0.0

    return lambda copy: (
        copy.plan.kind != "training",
        copy.record is None,
        not copy.ok,
        id(copy) in damaged,
        age(copy),
        copy.number,
    )


def _damaged(copies: Sequence[Copy]) -> Iterator[Copy]:
    """Those of several copies of a cell that ended well whose outputs cannot be used."""
    well = [copy for copy in copies if copy.ok]
    if len(well) > 1 and not _same_files(well):
        yield from (copy for copy in well if not copy.outputs or isinstance(copy.outputs, Problem))


def _same_files(copies: Sequence[Copy]) -> bool:
    """Whether all have the same bytes of arrays, which need not be read then."""
    files = [copy.file(".npz") for copy in copies]
    return all(file.is_file() for file in files) and all(
        filecmp.cmp(files[0], file, shallow=False) for file in files[1:]
    )


def _contradiction(taken: Copy, other: Copy) -> str:
    """What makes two copies of a slot different; empty if nothing does but volatile figures."""
    if taken.plan.key != other.plan.key:
        if taken.record and other.record:
            identities = differing(taken.record.identity, other.record.identity)
            return _few(identities) or "other identities"
        return f"planned with other settings (keys {taken.plan.key} and {other.plan.key})"
    if not (taken.ok and other.ok and taken.record and other.record):
        return ""
    if what := _few(differing(comparable(taken.record), comparable(other.record))):
        return what
    if _same_files([taken, other]):
        return ""
    first, second = taken.outputs, other.outputs
    if isinstance(first, Problem) or isinstance(second, Problem) or not (first and second):
        return ""  # what is damaged or not there is a problem, not another opinion
    if first.keys() != second.keys():
        return "per-example outputs of other splits"
    unequal = [name for name, array in first.items() if not _equal(array, second[name])]
    return f"per-example outputs ({', '.join(unequal[:SHOWN])})" if unequal else ""


def _equal(first: NDArray[Any], second: NDArray[Any]) -> bool:
    inexact = np.issubdtype(first.dtype, np.inexact)
    return first.dtype == second.dtype and np.array_equal(first, second, equal_nan=inexact)


def _few(differences: Iterable[Differing]) -> str:
    """The first differences in words, and how many more there are."""
    texts = [difference.text for difference in differences]
    more = f", and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more
