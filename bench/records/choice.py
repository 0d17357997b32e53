"""Which copy of each cell a merged run takes, and where copies contradict each other.

There is one cell of a label, and the cells of a row of a report, which differ in their seed alone,
have one recipe. Copies are taken in order of preference, students first; one that does not go with
what is taken already is refused, and with it whatever stands on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal, NamedTuple

from numpy.typing import NDArray

from bench.records.differences import differing, recipe
from bench.records.planned import Planned
from bench.records.run import Record, comparable
from bench.records.store import Problem, Store, StoreError

Prefer = Literal["first", "newest"]

SHOWN = 3
"""Differences of one conflict that are named; the others are counted."""


@dataclass(frozen=True)
class Copy:
    """A planned cell of one run, with its record if there is a usable one.

    Attributes:
        run: name of the run.
        number: place of the run among all.
        raw: what its plan says of the cell.
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

    @cached_property
    def outputs(self) -> dict[str, NDArray[Any]] | Problem:
        """The arrays beside the record, empty if there are none, or why they cannot be used."""
        try:
            return self.store.arrays(self.plan.key)
        except StoreError as error:
            return Problem(self.store.cells / f"{self.plan.key}.npz", str(error))


class Conflict(NamedTuple):
    """A cell, or a row, of which two runs say different things.

    Attributes:
        cell: in words.
        what: differs, with the value of the run that is taken before that of the other.
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
    """The cells of a merged run, the conflicts, and the outputs that could not be used."""

    cells: list[Copy] = field(default_factory=list)
    conflicts: list[Conflict] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def choose(copies: Sequence[Copy], prefer: Prefer | None) -> MergeChoice:
    """One copy per cell, of one recipe per row, in the order in which the runs planned them."""
    several = Counter(copy.plan.key for copy in copies if copy.ok)
    compared = [copy for copy in copies if copy.ok and several[copy.plan.key] > 1]
    problems = [copy.outputs for copy in compared if isinstance(copy.outputs, Problem)]
    spoilt = {id(c) for c in compared if isinstance(c.outputs, Problem) or not c.outputs}

    def rank(copy: Copy) -> tuple[Any, ...]:
        """Students, then what ended well, whole outputs, and what is preferred."""
        time = copy.record.provenance.time if copy.record and prefer == "newest" else None
        age = -datetime.fromisoformat(time).timestamp() if time else 0.0
        standing = copy.record is None, not copy.ok, id(copy) in spoilt
        return copy.plan.kind != "training", *standing, age, copy.number

    taken: dict[str, Copy] = {}  # by label, key and row, of which no two are the same text
    conflicts: dict[tuple[str, str], Conflict] = {}
    refused: set[tuple[int, str | None]] = set()  # a key or row of the run with that number
    for copy in sorted(copies, key=rank):
        plan, number = copy.plan, copy.number
        if refused & {(number, plan.needs), (number, plan.row)}:
            refused.add((number, plan.key))
        elif conflict := _against(taken, copy):
            conflicts.setdefault((conflict.cell, conflict.other), conflict)
            refused |= {(number, plan.key), (number, conflict.cell)}
        elif plan.label not in taken:
            taken[plan.label] = taken[plan.key] = copy
            if copy.record:
                taken.setdefault(plan.row, copy)
    labels = dict.fromkeys(copy.plan.label for copy in copies)
    cells = [taken[label] for label in labels if label in taken]
    return MergeChoice(cells, list(conflicts.values()), problems)


def _against(taken: dict[str, Copy], copy: Copy) -> Conflict | None:
    """What is against taking ``copy``."""
    plan = copy.plan
    row, cell, named = (taken.get(slot) for slot in (plan.row, plan.label, plan.key))
    if row and row.record and copy.record:
        what = _few(recipe(row.record.identity), recipe(copy.record.identity))
        if what:  # what is only planned has no other recipe
            return Conflict(plan.row, what, row.run, copy.run)
    if cell and (what := _contradiction(cell, copy)):
        return Conflict(plan.label, what, cell.run, copy.run)
    if named and named.plan.label != plan.label:
        what = f"one cell under two names, {named.plan.label} and {plan.label}"
        return Conflict(plan.label, what, named.run, copy.run)
    return None


def _contradiction(taken: Copy, other: Copy) -> str:
    """What makes two copies of a cell different; empty if nothing does but volatile figures."""
    first, second = taken.record, other.record
    if taken.plan.key != other.plan.key:
        if first and second:
            return _few(first.identity, second.identity) or "other identities"
        return f"planned with other settings (keys {taken.plan.key} and {other.plan.key})"
    if not (first and second and taken.ok and other.ok):
        return ""
    if what := _few(comparable(first), comparable(second)):
        return what
    arrays, others = taken.outputs, other.outputs
    if isinstance(arrays, Problem) or isinstance(others, Problem) or not (arrays and others):
        return ""  # what is damaged or not there is a problem, not another opinion
    exact = [{n: (a.dtype, a.shape, a.tobytes()) for n, a in of.items()} for of in (arrays, others)]
    unequal = [name for name in exact[0] | exact[1] if exact[0].get(name) != exact[1].get(name)]
    return f"per-example outputs ({', '.join(unequal[:SHOWN])})" if unequal else ""


def _few(first: Any, other: Any) -> str:
    """The first differences in words, and how many more there are."""
    texts = [difference.text for difference in differing(first, other)]
    more = f", and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more
