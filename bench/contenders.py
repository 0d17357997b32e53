"""Which run's cell a merged run takes, and where two runs contradict each other.

A *slot* is what a report calls a cell: kind, task, method, seed and knowledge base. Cells that
differ in their seed alone stand in one row of it, so they must have one recipe: two runs with
other settings or other data there contradict each other, whatever their seeds. So do two records
of the very same cell that differ in more than their volatile figures.
"""

from __future__ import annotations

import filecmp
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench.base import NONE
from bench.differences import Differing, differing
from bench.recipes import Recipe, recipe
from bench.record import Record, comparable
from bench.report.results import Cell, Planned, Results
from bench.store import Problem, Store, StoreError

Prefer = Literal["first", "newest"]
Slot = tuple[Any, ...]

SHOWN = 3
"""Differences of one conflict that are named; the others are counted."""


@dataclass(frozen=True)
class Conflict:
    """A cell of which two runs say different things.

    Attributes:
        cell: in words.
        what: differs, with the value of the run that is taken before that of the other.
        taken: name of the run whose cell is taken.
        other: name of the other run.
    """

    cell: str
    what: str
    taken: str
    other: str

    @property
    def text(self) -> str:
        """In one line."""
        return f"{self.cell} in {self.taken} and {self.other}: {self.what}"


@dataclass(frozen=True)
class Contender:
    """A planned cell of one run, with its record if there is a usable one.

    Attributes:
        run: name of the run.
        number: place of the run among all.
        raw: what its plan says of the cell.
    """

    run: str
    number: int
    store: Store
    cell: Cell
    raw: dict[str, Any]

    @property
    def plan(self) -> Planned:
        """What is planned."""
        return self.cell.plan

    @property
    def record(self) -> Record | None:
        """What became of it."""
        return self.cell.record

    @property
    def ok(self) -> bool:
        """Whether it ended well."""
        return self.record is not None and self.record.status == "ok"

    @property
    def time(self) -> str:
        """When its record was made, ISO 8601 in UTC, which sorts as text; empty if never."""
        return self.record.provenance.time if self.record else ""

    @property
    def slot(self) -> Slot:
        """What a report calls it."""
        plan = self.plan
        base = (plan.backend, plan.keys, plan.values, plan.share, plan.control)
        return (plan.kind, plan.task, plan.method, plan.seed, *base)

    @property
    def row(self) -> Slot:
        """The slot without its seed."""
        return (*self.slot[:3], *self.slot[4:])

    @cached_property
    def recipe(self) -> Recipe | None:
        """What decides its result apart from the seed, None without a record."""
        return recipe(self.record.identity) if self.record else None

    @property
    def label(self) -> str:
        """The cell in words."""
        return self.named(f" seed {self.plan.seed}")

    def named(self, seed: str = "") -> str:
        """Its row in words, with its ``seed``."""
        plan = self.plan
        name = f"{plan.task} {plan.method}{seed}"
        if plan.kind != "retrieval":
            return name + (": controls" if plan.kind == "control" else "")
        values = (plan.keys, plan.values, plan.share, plan.control)
        base = ", ".join(str(value) for value in values if value not in (None, 1.0, NONE))
        return f"{name} + {plan.backend} ({base})"

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

    @property
    def whole(self) -> bool:
        """Whether there are arrays that can be used."""
        return isinstance(self.outputs, dict) and bool(self.outputs)


@dataclass(frozen=True)
class Chosen:
    """The cells of the merged run.

    Attributes:
        cells: one per slot, in the order in which the runs planned them.
        conflicts: in the same order.
        copies: key -> names of the runs that have it, where several do, equal in all that counts.
        torn: cells that stand on another copy of their student than the one that is taken.
        problems: outputs that could not be used.
    """

    cells: tuple[Contender, ...]
    conflicts: tuple[Conflict, ...]
    copies: dict[str, tuple[str, ...]]
    torn: int
    problems: tuple[Problem, ...]


def contenders(sources: Sequence[Results], names: Sequence[str]) -> Iterator[Contender]:
    """Every planned cell of every run, in the order of the runs and of their plans."""
    for number, (results, name) in enumerate(zip(sources, names, strict=True)):
        for cell, raw in zip(results.cells, results.run["cells"], strict=True):
            yield Contender(name, number, Store(results.folder), cell, raw)


def choose(found: Iterable[Contender], prefer: Prefer | None) -> Chosen:
    """One contender per slot, of one recipe per row.

    Students are chosen first. What stands on a student that is not taken is left out; what stands
    on one that is, comes from the same run where that run has it.
    """
    alike, apart = _alike(list(found), prefer)
    slots: dict[Slot, list[Contender]] = {}
    for one in alike:
        slots.setdefault(one.slot, []).append(one)
    students: dict[Slot, Contender] = {}
    named: dict[str, Contender] = {}
    conflicts: dict[Slot, list[Conflict]] = {}
    problems: list[Problem] = []
    copies: dict[str, tuple[str, ...]] = {}
    torn = 0
    for slot in sorted(slots, key=lambda slot: slot[0] != "training"):
        student = students.get(slot[1:4])
        usable = [c for c in slots[slot] if not student or c.plan.needs == student.plan.key]
        if not usable:
            continue
        best = _best(usable, prefer, student)
        conflicts[slot] = [*_conflicts(best, usable)]
        problems += _damaged(usable)
        against = {conflict.other for conflict in conflicts[slot]}
        equal = [one.run for one in usable if _shares(best, one) and one.run not in against]
        copies |= {best.plan.key: (best.run, *equal)} if equal else {}
        if slot[0] == "training":
            students[slot[1:4]] = best
        elif student and best.number != student.number:
            torn += bool(conflicts[student.slot])
        if first := named.get(best.plan.key):
            what = f"one cell under two names, {first.label} and {best.label}"
            conflicts[slot].append(Conflict(best.label, what, first.run, best.run))
        else:
            named[best.plan.key] = best
    cells = {one.slot: one for one in named.values()}
    return Chosen(
        cells=tuple(cells[slot] for slot in slots if slot in cells),
        conflicts=(*apart, *(one for slot in slots for one in conflicts.get(slot, ()))),
        copies=copies,
        torn=torn,
        problems=tuple(problems),
    )


def _alike(
    found: Sequence[Contender], prefer: Prefer | None
) -> tuple[list[Contender], list[Conflict]]:
    """Those whose row has one recipe, and a conflict for each run that has another there.

    What stands on a student that is left out is left out with it.
    """
    rows: dict[Slot, list[Contender]] = {}
    for one in sorted(found, key=lambda one: one.plan.kind != "training"):
        rows.setdefault(one.row, []).append(one)
    out: set[tuple[int, str]] = set()
    conflicts = []
    for row in rows.values():
        torn = [one for one in row if (one.number, one.plan.needs) in out]
        own = [one for one in row if (one.number, one.plan.needs) not in out]
        known = [one for one in own if one.record]
        if known:
            best = max(known, key=_preferred(prefer))
            others = {one.number: one for one in known if one.recipe != best.recipe}
            for other in others.values():
                what = _few(differing(best.recipe, other.recipe))
                conflicts.append(Conflict(best.named(), what, best.run, other.run))
            # Of a run with another recipe, what is only planned has no other one.
            torn += [one for one in own if one.number in others and one.recipe != best.recipe]
        out |= {(one.number, one.plan.key) for one in torn}
    return [one for one in found if (one.number, one.plan.key) not in out], conflicts


def _preferred(prefer: Prefer | None) -> Callable[[Contender], tuple[str, int]]:
    return lambda one: (one.time if prefer == "newest" else "", -one.number)


def _best(
    found: Sequence[Contender], prefer: Prefer | None, student: Contender | None
) -> Contender:
    """Which cell is a matter of preference; which copy of it, first of what became of it."""
    preferred = _preferred(prefer)
    key = max(found, key=preferred).plan.key
    alike = [one for one in found if one.plan.key == key]
    if len(alike) == 1:
        return alike[0]
    usable = [one for one in alike if one.record]
    ok = [one for one in usable if one.ok]
    whole = ok if _same_files(ok) else [one for one in ok if one.whole]
    copies = whole or ok or usable or alike
    at_home = [one for one in copies if student and one.number == student.number]
    return max(at_home or copies, key=preferred)


def _conflicts(best: Contender, found: Iterable[Contender]) -> Iterator[Conflict]:
    for one in found:
        if one is best:
            continue
        if one.plan.key != best.plan.key:
            what = _settings(best, one)
        elif _shares(best, one):
            what = _contents(best, one)
        else:
            continue
        if what:
            yield Conflict(best.label, what, best.run, one.run)


def _shares(best: Contender, one: Contender) -> bool:
    """Whether the two are different copies of a cell that ended well in both."""
    return one is not best and one.plan.key == best.plan.key and one.ok and best.ok


def _settings(one: Contender, other: Contender) -> str:
    """What makes them different cells."""
    if one.record and other.record:
        return _few(differing(one.record.identity, other.record.identity)) or "other identities"
    return f"planned with other settings (keys {one.plan.key} and {other.plan.key})"


def _contents(one: Contender, other: Contender) -> str:
    """What differs between two copies but for volatile figures; empty if nothing does."""
    assert one.record is not None
    assert other.record is not None
    if found := _few(differing(comparable(one.record), comparable(other.record))):
        return found
    if _same_files([one, other]) or not (one.whole and other.whole):
        return ""  # what is damaged or not there is a problem, not another opinion
    assert isinstance(one.outputs, dict)
    assert isinstance(other.outputs, dict)
    if one.outputs.keys() != other.outputs.keys():
        return "per-example outputs of other splits"
    unequal = [name for name, a in one.outputs.items() if not _equal(a, other.outputs[name])]
    return f"per-example outputs ({', '.join(unequal[:SHOWN])})" if unequal else ""


def _equal(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return one.dtype == other.dtype and np.array_equal(
        one, other, equal_nan=np.issubdtype(one.dtype, np.inexact)
    )


def _same_files(found: Sequence[Contender]) -> bool:
    """Whether all have the same bytes of arrays, which need not be read then."""
    files = [one.file(".npz") for one in found]
    if not all(file.is_file() for file in files):
        return False
    return all(filecmp.cmp(files[0], file, shallow=False) for file in files[1:])


def _damaged(found: Iterable[Contender]) -> Iterator[Problem]:
    """Outputs that were read, as there is more than one copy of them, and cannot be used."""
    for one in found:
        if "outputs" in vars(one) and isinstance(one.outputs, Problem):
            yield one.outputs


def _few(found: Iterable[Differing]) -> str:
    texts = [one.text for one in found]
    more = f", and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more
