"""Where two runs say different things of one cell."""

from __future__ import annotations

import filecmp
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.contender import Contender
from bench.records.differences import Differing, differing
from bench.records.run import comparable
from bench.records.store import Problem

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


def contradictions(best: Contender, found: Iterable[Contender]) -> Iterator[Conflict]:
    """What the others of a slot say against the one that is taken."""
    for one in found:
        if one is best:
            continue
        if one.plan.key != best.plan.key:
            what = _settings(best, one)
        elif shares(best, one):
            what = _contents(best, one)
        else:
            continue
        if what:
            yield Conflict(best.label, what, best.run, one.run)


def shares(best: Contender, one: Contender) -> bool:
    """Whether the two are different copies of a cell that ended well in both."""
    return one is not best and one.plan.key == best.plan.key and one.ok and best.ok


def _settings(one: Contender, other: Contender) -> str:
    """What makes them different cells."""
    if one.record and other.record:
        return few(differing(one.record.identity, other.record.identity)) or "other identities"
    return f"planned with other settings (keys {one.plan.key} and {other.plan.key})"


def _contents(one: Contender, other: Contender) -> str:
    """What differs between two copies but for volatile figures; empty if nothing does."""
    assert one.record is not None
    assert other.record is not None
    if found := few(differing(comparable(one.record), comparable(other.record))):
        return found
    if same_files([one, other]) or not (one.whole and other.whole):
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


def same_files(found: Sequence[Contender]) -> bool:
    """Whether all have the same bytes of arrays, which need not be read then."""
    files = [one.file(".npz") for one in found]
    if not all(file.is_file() for file in files):
        return False
    return all(filecmp.cmp(files[0], file, shallow=False) for file in files[1:])


def damaged(found: Iterable[Contender]) -> Iterator[Problem]:
    """Outputs that were read, as there is more than one copy of them, and cannot be used."""
    for one in found:
        if "outputs" in vars(one) and isinstance(one.outputs, Problem):
            yield one.outputs


def few(found: Iterable[Differing]) -> str:
    """The first differences in words, and how many more there are."""
    texts = [one.text for one in found]
    more = f", and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more
