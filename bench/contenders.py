"""Which run's cell a merged run takes, and where two runs contradict each other.

A *slot* is what a report calls a cell: kind, task, method, seed and knowledge base. Cells that
differ in their seed alone stand in one row of it, so they must have one recipe: two runs with
other settings or other data there contradict each other, whatever their seeds. So do two records
of the very same cell that differ in more than their volatile figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.contender import Contender, Slot
from bench.contradictions import Conflict, contradictions, damaged, few, same_files, shares
from bench.records.differences import differing
from bench.records.store import Problem, Store
from bench.report.results import Results

Prefer = Literal["first", "newest"]


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
        conflicts[slot] = [*contradictions(best, usable)]
        problems += damaged(usable)
        against = {conflict.other for conflict in conflicts[slot]}
        equal = [one.run for one in usable if shares(best, one) and one.run not in against]
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
                what = few(differing(best.recipe, other.recipe))
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
    whole = ok if same_files(ok) else [one for one in ok if one.whole]
    copies = whole or ok or usable or alike
    at_home = [one for one in copies if student and one.number == student.number]
    return max(at_home or copies, key=preferred)
