"""What a gate says of measured cells. It can fail for many reasons and pass for one only.

It passes if there is at least one cell, every cell was measured with retrieval at work, every
interval of the overhead ends at or below the limit, and no file had to be passed over.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.measure.statistics import verdict
from bench.records.latency_cell import LatencyCell
from bench.records.measurement import IndexFacts, Interval, LatencyRecord
from bench.records.store import Problem

OnUndecided = Literal["fail", "pass"]
Ruling = Literal[
    "holds", "fails", "undecided", "nothing measured", "off target", "failed", "skipped"
]
"""``off target``: the index never answered as well as it had to, so its speed proves nothing."""

HOLDS, FAILS, ERROR, UNDECIDED = 0, 1, 2, 3
"""Exit codes."""

OUTCOMES = {HOLDS: "holds", FAILS: "fails", ERROR: "error", UNDECIDED: "undecided"}

BUSY = 0.5
"""Load above a cell's own threads at which a process began on a busy machine."""

_RULED: tuple[Ruling, ...] = ("holds", "fails", "undecided")

ANSWERS = ("key", "spec", "effort", "target", "target_met", "recall", "agreement")
"""Of a record's index, what the JSON file repeats."""

MEASURED = ("time", "commit", "dirty", "cpu", "cores")
"""Of a record's provenance, what the JSON file repeats."""


@dataclass(frozen=True)
class Judged:
    """One cell before the limit: its record, and what the gate says of it."""

    record: LatencyRecord
    verdict: Ruling
    reason: str | None
    limit: float

    @property
    def cell(self) -> LatencyCell:
        """What was measured."""
        return self.record.cell

    @property
    def index(self) -> IndexFacts | None:
        """The index behind it and how well it answers."""
        return self.record.index

    @property
    def ratio(self) -> Interval | None:
        """Added / forward; None where nothing was measured."""
        result = self.record.result
        measured = self.record.status == "ok" and result is not None and _sound(result.ratio)
        return result.ratio if measured and result is not None else None

    @property
    def noise(self) -> Interval | None:
        """A/A: forward / plain forward - 1."""
        result = self.record.result
        return result.noise if result is not None and _sound(result.noise) else None

    @property
    def load(self) -> float:
        """Highest load average at which one of its processes began."""
        environments = self.record.result.environments if self.record.result else []
        return max((each.load_before[0] for each in environments), default=0.0)

    @property
    def seconds(self) -> float:
        """What its processes took."""
        return self.record.result.seconds if self.record.result else 0.0

    def content(self) -> dict[str, Any]:
        """The cell as ``bench gate --json`` writes it."""
        record = self.record.model_dump(mode="json")
        index = record["index"]
        return {
            "key": record["key"],
            "cell": record["cell"],
            "verdict": self.verdict,
            "reason": self.reason,
            "ratio": self.ratio and self.ratio.model_dump(),
            "noise": self.noise and self.noise.model_dump(),
            "load": self.load,
            "limit": self.limit,
            "index": index and {name: index[name] for name in ANSWERS},
            "seconds": self.seconds,
            "measured": {name: record["provenance"][name] for name in MEASURED},
        }


@dataclass(frozen=True)
class Outcome:
    """The gate's answer.

    Attributes:
        code: 0 holds, 1 fails, 2 error or nothing measured, 3 undecided.
        limit: highest admissible overhead.
        on_undecided: what is made of undecided cells.
        cells: what was judged.
        unusable: files that were passed over.
        notes: what to know when reading the cells.
    """

    code: int
    limit: float
    on_undecided: OnUndecided
    cells: tuple[Judged, ...]
    unusable: tuple[Problem, ...]
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the exit code is 0."""
        return self.code == HOLDS

    def content(self) -> dict[str, Any]:
        """The answer as ``bench gate --json`` writes it."""
        return {
            "code": self.code,
            "limit": self.limit,
            "on_undecided": self.on_undecided,
            "cells": [cell.content() for cell in self.cells],
            "unusable": [{"file": str(file.path), "reason": file.reason} for file in self.unusable],
            "notes": list(self.notes),
        }


def decide(
    records: Sequence[LatencyRecord],
    problems: Iterable[Problem],
    limit: float,
    on_undecided: OnUndecided = "fail",
    tree: str | None = None,
    more: Iterable[str] = (),
) -> Outcome:
    """Judge every record by ``limit``, whatever limit it was measured against.

    The exit code is that of the gravest cell, in the order 1, 2, 3, 0. A proven failure comes
    first: no cell that could not be measured takes it back, and it is what the author of a change
    has to see. What was not measured comes before what is undecided, because ``on_undecided`` may
    lift the latter, never the former.

    Args:
        records: the cells.
        problems: files that should hold cells and do not.
        limit: highest admissible overhead, e.g. 0.03.
        on_undecided: ``pass`` takes undecided cells for held ones.
        tree: commit of the working tree, for the notes.
        more: further notes.
    """
    cells = tuple(judge(record, limit) for record in records)
    unusable = tuple(
        Problem(Path(_text(str(problem.path))), _text(problem.reason)) for problem in problems
    )
    return Outcome(
        code=_code(cells, unusable, on_undecided),
        limit=limit,
        on_undecided=on_undecided,
        cells=cells,
        unusable=unusable,
        notes=(*more, *notes(cells, tree)),
    )


def _code(cells: Sequence[Judged], unusable: Sequence[Problem], on_undecided: OnUndecided) -> int:
    verdicts = {cell.verdict for cell in cells}
    if "fails" in verdicts:
        return FAILS
    if not cells or unusable or not verdicts <= {*_RULED}:
        return ERROR
    return UNDECIDED if "undecided" in verdicts and on_undecided == "fail" else HOLDS


def judge(record: LatencyRecord, limit: float) -> Judged:
    """One record before ``limit``."""
    return Judged(record, *_ruling(record, limit), limit)


def _ruling(record: LatencyRecord, limit: float) -> tuple[Ruling, str | None]:
    if record.status != "ok":
        return record.status, _text(record.reason or "")
    shown = _shown(record)
    if isinstance(shown, str):
        return "nothing measured", shown
    ratio, index = shown
    ruling = verdict(ratio, limit)
    if ruling == "fails":  # also off target: reaching the target would take longer still
        return "fails", f"the whole interval is above {percent(limit)}"
    if not index.target_met:
        reached = index.recall if index.target.startswith("recall") else index.agreement
        return "off target", f"{index.spec} never reached {index.target} (held out: {reached:.3f})"
    if ruling == "undecided":
        against = (
            "" if record.limit == limit else f"; it was measured against {percent(record.limit)}"
        )
        return "undecided", f"the interval contains {percent(limit)}{against}"
    return "holds", None


def _shown(record: LatencyRecord) -> tuple[Interval, IndexFacts] | str:
    """The overhead and the index behind it, or why a finished record shows no retrieval."""
    cell, result, index = record.cell, record.result, record.index
    if result is None or index is None:
        return f"an ok record without {'result' if result is None else 'index'}"
    if cell.beta <= 0 or cell.k < 1 or cell.size < 1:
        return f"nothing is retrieved with k {cell.k}, beta {cell.beta:g}, {cell.size} entries"
    if result.inputs < 1 or result.processes < 2 or result.rounds < 1:
        return f"{result.inputs} inputs, {result.rounds} rounds, {result.processes} processes"
    if not _sound(result.ratio):
        return "the overhead is not a finite interval"
    if not (result.added.p50 > 0 and result.forward.p50 > 0 and result.ratio.high > 0):
        return "retrieval or the forward took no time"
    return result.ratio, index


def _text(text: str) -> str:
    """``text`` on one line; what is not Unicode, e.g. in a file's name, becomes ``?``."""
    line = " ".join(text.split()) or "no reason given"
    return line.encode("utf-8", "replace").decode()


def percent(share: float) -> str:
    """A limit as it is given on the command line.

    >>> percent(0.03), percent(0.0125)
    ('3%', '1.25%')
    """
    return f"{100 * share:.4g}%"


def _sound(interval: Interval) -> bool:
    values = (interval.low, interval.estimate, interval.high)
    return all(map(math.isfinite, values)) and values[0] <= values[2]


def notes(cells: Sequence[Judged], tree: str | None) -> Iterable[str]:
    """What makes the cells less than one table measured on this tree."""
    origins = [cell.record.provenance for cell in cells]
    machines = sorted({f"{origin.cpu} ({origin.cores} cores)" for origin in origins})
    if len(machines) > 1:
        yield f"Cells of {len(machines)} machines: {', '.join(machines)}."
    commits = sorted({origin.commit or "unknown" for origin in origins})
    if len(commits) > 1:
        yield f"Cells of {len(commits)} commits: {', '.join(commits)}."
    other = sum(origin.commit != tree for origin in origins) if tree is not None else 0
    if other:
        yield f"{other} of {len(cells)} cells were not measured at this tree's commit, {tree}."
    changed = sum(origin.dirty is True for origin in origins)
    if changed:
        yield f"{changed} of {len(cells)} cells were measured with uncommitted changes."
    busy = [cell.load for cell in cells if cell.load > cell.cell.threads + BUSY]
    if busy:
        yield (
            f"{len(busy)} of {len(cells)} cells were measured on a busy machine (load up to "
            f"{max(busy):.1f}), which slows the forward more than the search."
        )
    yield from _indexes(cells)


def _indexes(cells: Sequence[Judged]) -> Iterable[str]:
    """The same base and backend, but more than one index: other vectors or another library."""
    keys: dict[tuple[str, int, int, str], set[str]] = {}
    for cell, index in ((judged.cell, judged.index) for judged in cells):
        if index is not None:
            keys.setdefault((cell.base, cell.size, cell.dim, index.spec), set()).add(index.key)
    for (base, size, _, spec), several in keys.items():
        if len(several) > 1:
            yield f"{base} ({size:,}) {spec}: {len(several)} different indexes, {sorted(several)}."
