"""What a gate says of measured cells. It can fail for many reasons and pass for one only.

It passes if there is at least one cell, every cell was measured with retrieval at work, every
interval of the overhead ends at or below the limit, and no file had to be passed over.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from bench.measure import limits
from bench.measure.statistics import verdict
from bench.records.measurement import (
    IndexFacts,
    Interval,
    LatencyCell,
    LatencyRecord,
    LatencyResult,
    MeasuredSkipping,
)
from bench.records.measurements import Measurements, PlanFile
from bench.records.run import Provenance
from bench.records.store import Problem
from reaugkd.errors import UserError

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

ANSWERS = {"key", "spec", "effort", "target", "target_met", "recall", "agreement"}
MEASURED = {"time", "commit", "dirty", "cpu", "cores"}
"""Of a record's index and of its provenance, what the JSON file repeats."""


@dataclass(frozen=True)
class Judged:
    """One cell before the limit, and what the gate says of it.

    Attributes:
        key, cell, index, provenance: of its record.
        ratio: added / forward; None where nothing was measured.
        noise: A/A, forward / plain forward - 1.
        skipping: what became of the inputs where a sure student is not asked about.
        load: highest load average at which one of its processes began.
        seconds: what its processes took.
    """

    key: str
    cell: LatencyCell
    verdict: Ruling
    reason: str | None
    limit: float
    ratio: Interval | None
    noise: Interval | None
    skipping: MeasuredSkipping | None
    load: float
    seconds: float
    index: IndexFacts | None
    provenance: Provenance

    def content(self) -> dict[str, Any]:
        """The cell as ``bench gate --json`` writes it."""
        return {
            "key": self.key,
            "cell": self.cell.model_dump(mode="json"),
            "verdict": self.verdict,
            "reason": self.reason,
            "ratio": self.ratio and self.ratio.model_dump(),
            "noise": self.noise and self.noise.model_dump(),
            "skipping": self.skipping and self.skipping.model_dump(),
            "load": self.load,
            "limit": self.limit,
            "index": self.index and self.index.model_dump(mode="json", include=ANSWERS),
            "seconds": self.seconds,
            "measured": self.provenance.model_dump(include=MEASURED),
        }


@dataclass(frozen=True)
class Outcome:
    """The gate's answer: an exit code, and what led to it; ``unusable`` files were passed over.

    ``limit`` is the one of all cells, None where they differ.
    """

    code: int
    limit: float | None
    on_undecided: OnUndecided
    cells: tuple[Judged, ...]
    unusable: tuple[Problem, ...]
    notes: tuple[str, ...]

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


class GateCells(NamedTuple):
    """Records to judge, files that could not be used and planned cells without a record, notes."""

    records: Sequence[LatencyRecord]
    problems: Sequence[Problem]
    notes: Sequence[str] = ()


def read(folder: Path) -> GateCells:
    """All latency cells of a folder of ``bench latency``, planned ones first.

    Those of earlier plans count as well: nothing that was measured there is hidden from the gate.
    A file that cannot be used counts unless the plan says that it is a memory cell.

    Raises:
        UserError: if it holds no measurements.
    """
    if not Measurements.at(folder):
        raise UserError(f"no measurements at {folder}: `bench latency --out {folder}` makes them")
    store = Measurements(folder)
    cells, problems = store.records()
    records = {record.key: record for record in cells if isinstance(record, LatencyRecord)}
    plan, memory = store.read_plan("latency"), store.read_plan("memory")
    if isinstance(memory, PlanFile):
        problems = [file for file in problems if file.path.stem not in memory.cells]
    if not isinstance(plan, PlanFile):
        note = "The folder has no plan: cells that were never measured cannot be missed."
        return GateCells([*records.values()], [*problems, *filter(None, [plan])], [note])
    planned = [records.pop(key) for key in plan.cells if key in records]
    named = {*(record.key for record in planned), *(file.path.stem for file in problems)}
    left = {key: label for key, label in plan.cells.items() if key not in named}
    more = f"{len(records)} of the cells are not of the folder's last plan."
    return GateCells(
        [*planned, *records.values()], [*problems, *missing(store, left)], [more] * bool(records)
    )


def missing(store: Measurements, cells: dict[str, str]) -> list[Problem]:
    """A problem for each planned cell, key -> label, that has no record."""
    return [
        Problem(store.cells / f"{key}.json", f"planned, never measured: {label}")
        for key, label in cells.items()
    ]


def decide(
    records: Sequence[LatencyRecord],
    problems: Iterable[Problem],
    limit: float | None,
    on_undecided: OnUndecided = "fail",
    tree: str | None = None,
    more: Iterable[str] = (),
) -> Outcome:
    """Judge every record by its limit, whatever limit it was measured against.

    The exit code is that of the gravest cell, in the order 1, 2, 3, 0. A proven failure comes
    first: no cell that could not be measured takes it back, and it is what the author of a change
    has to see. What was not measured comes before what is undecided, because ``on_undecided`` may
    lift the latter, never the former.

    Args:
        records: the cells.
        problems: files that should hold cells and do not.
        limit: highest admissible overhead, e.g. 0.03; None: what is promised of each cell.
        on_undecided: ``pass`` takes undecided cells for held ones.
        tree: commit of the working tree, for the notes.
        more: further notes.
    """
    cells = tuple(judge(record, limit) for record in records)
    unusable = tuple(Problem(Path(_text(str(p.path))), _text(p.reason)) for p in problems)
    verdicts = {cell.verdict for cell in cells}
    if "fails" in verdicts:
        code = FAILS
    elif not cells or unusable or not verdicts <= {"holds", "undecided"}:
        code = ERROR
    else:
        code = UNDECIDED if "undecided" in verdicts and on_undecided == "fail" else HOLDS
    different = {cell.limit for cell in cells} or {limits.GENERAL if limit is None else limit}
    shared = different.pop() if len(different) == 1 else None
    return Outcome(code, shared, on_undecided, cells, unusable, (*more, *_notes(cells, tree)))


def judge(record: LatencyRecord, given: float | None = None) -> Judged:
    """One record before the limit that was given, or the one that is promised of it."""
    result, limit = record.result, limits.limit(record.cell, given)
    ruling, reason = _ruling(record, limit)
    environments = result.environments if result else []
    return Judged(
        record.key,
        record.cell,
        ruling,
        reason,
        limit,
        ratio=_sound(result.ratio) if result and record.status == "ok" else None,
        noise=_sound(result.noise) if result else None,
        skipping=result.skipping if result else None,
        load=max((each.load_before[0] for each in environments), default=0.0),
        seconds=result.seconds if result else 0.0,
        index=record.index,
        provenance=record.provenance,
    )


def _ruling(record: LatencyRecord, limit: float) -> tuple[Ruling, str | None]:
    if record.status != "ok":
        return record.status, _text(record.reason or "")
    result, index = record.result, record.index
    if result is None or index is None:
        return "nothing measured", f"an ok record without {'index' if result else 'result'}"
    if flaw := _flaw(record.cell, result):
        return "nothing measured", flaw
    ruling = verdict(result.ratio, limit)
    if ruling == "fails":  # also off target: reaching the target would take longer still
        return "fails", f"the whole interval is above {percent(limit)}"
    if not index.target_met:
        reached = index.recall if index.target.startswith("recall") else index.agreement
        return "off target", f"{index.spec} never reached {index.target} (held out: {reached:.3f})"
    if ruling == "undecided":
        reason = f"the interval contains {percent(limit)}"
        if record.limit != limit:
            reason += f"; it was measured against {percent(record.limit)}"
        return "undecided", reason
    return "holds", None


def _flaw(cell: LatencyCell, result: LatencyResult) -> str | None:
    """Why a finished record shows no retrieval."""
    if cell.beta <= 0 or cell.k < 1 or cell.size < 1:
        return f"nothing is retrieved with k {cell.k}, beta {cell.beta:g}, {cell.size} entries"
    if result.inputs < 1 or result.processes < 2 or result.rounds < 1:
        return f"{result.inputs} inputs, {result.rounds} rounds, {result.processes} processes"
    if _sound(result.ratio) is None:
        return "the overhead is not a finite interval"
    if result.skipping is not None and result.skipping.share >= 1:
        return f"the student was sure of all {result.inputs} inputs: nothing was searched"
    if not (result.added.p50 > 0 and result.forward.p50 > 0 and result.ratio.high > 0):
        return "retrieval or the forward took no time"
    return None


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


def _sound(interval: Interval) -> Interval | None:
    values = (interval.low, interval.estimate, interval.high)
    return interval if all(map(math.isfinite, values)) and values[0] <= values[2] else None


def _notes(cells: Sequence[Judged], tree: str | None) -> Iterable[str]:
    """What makes the cells less than one table measured on this tree."""
    origins = [cell.provenance for cell in cells]
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
