"""What a gate says of measured cells. It can fail for many reasons and pass for one only.

It passes if there is at least one cell, every cell was measured with retrieval at work, every
interval of the overhead ends at or below the limit, and no file had to be passed over.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import Field

from bench.measure.statistics import verdict
from bench.records.latency_cell import LatencyCell
from bench.records.measurement import IndexFacts, Interval, LatencyRecord
from bench.records.plain import Plain
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

_MEASURED: tuple[Ruling, ...] = ("holds", "fails", "undecided")


class Measured(Plain):
    """Where a cell was measured."""

    time: str = Field(description="UTC, ISO 8601, when the cell finished")
    commit: str | None = Field(description="of the source tree, None if installed")
    dirty: bool | None
    cpu: str
    cores: int = Field(description="of the machine; the cell says how many it used")


class Answers(Plain):
    """The index behind a cell and how well it answers."""

    key: str
    spec: str
    effort: int | None
    target: str
    target_met: bool
    recall: float
    agreement: float


class Judged(Plain):
    """One cell before the limit."""

    key: str
    cell: LatencyCell
    verdict: Ruling
    reason: str | None = Field(description="why it does not hold; None if it does")
    ratio: Interval | None = Field(description="added / forward; None where nothing was measured")
    noise: Interval | None = Field(description="A/A: forward / plain forward - 1")
    load: float = Field(description="highest load average at which one of its processes began")
    limit: float
    index: Answers | None
    seconds: float = Field(description="that its processes took")
    measured: Measured


class Unusable(Plain):
    """A file that was passed over."""

    file: str
    reason: str


class Outcome(Plain):
    """The gate's answer."""

    code: int = Field(description="0 holds, 1 fails, 2 error or nothing measured, 3 undecided")
    limit: float
    on_undecided: OnUndecided
    cells: tuple[Judged, ...]
    unusable: tuple[Unusable, ...]
    notes: tuple[str, ...] = Field(description="what to know when reading the cells")

    @property
    def passed(self) -> bool:
        """Whether the exit code is 0."""
        return self.code == HOLDS


def decide(
    records: Sequence[LatencyRecord],
    problems: Iterable[Problem],
    limit: float,
    on_undecided: OnUndecided = "fail",
    tree: str | None = None,
    told: Iterable[str] = (),
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
        told: further notes.
    """
    cells = tuple(judge(record, limit) for record in records)
    unusable = tuple(
        Unusable(file=_text(str(one.path)), reason=_text(one.reason)) for one in problems
    )
    return Outcome(
        code=_code(cells, unusable, on_undecided),
        limit=limit,
        on_undecided=on_undecided,
        cells=cells,
        unusable=unusable,
        notes=(*told, *notes(cells, tree)),
    )


def _code(cells: Sequence[Judged], unusable: Sequence[Unusable], on_undecided: OnUndecided) -> int:
    found = {cell.verdict for cell in cells}
    if "fails" in found:
        return FAILS
    if not cells or unusable or not found <= {*_MEASURED}:
        return ERROR
    return UNDECIDED if "undecided" in found and on_undecided == "fail" else HOLDS


def judge(record: LatencyRecord, limit: float) -> Judged:
    """One record before ``limit``."""
    ruling, reason = _ruling(record, limit)
    made, result, index = record.provenance, record.result, record.index
    ratio = result.ratio if result is not None and _sound(result.ratio) else None
    return Judged(
        key=record.key,
        cell=record.cell,
        verdict=ruling,
        reason=reason,
        ratio=ratio if record.status == "ok" else None,
        noise=result.noise if result is not None and _sound(result.noise) else None,
        load=max((one.load_before[0] for one in result.environments), default=0.0)
        if result is not None
        else 0.0,
        limit=limit,
        index=index
        and Answers(
            key=index.key,
            spec=index.spec,
            effort=index.effort,
            target=index.target,
            target_met=index.target_met,
            recall=index.recall,
            agreement=index.agreement,
        ),
        seconds=result.seconds if result is not None else 0.0,
        measured=Measured(
            time=made.time, commit=made.commit, dirty=made.dirty, cpu=made.cpu, cores=made.cores
        ),
    )


def _ruling(record: LatencyRecord, limit: float) -> tuple[Ruling, str | None]:
    if record.status != "ok":
        return record.status, _text(record.reason or "")
    shown = _shown(record)
    if isinstance(shown, str):
        return "nothing measured", shown
    ratio, index = shown
    found = verdict(ratio, limit)
    if found == "fails":  # also off target: reaching the target would take longer still
        return "fails", f"the whole interval is above {percent(limit)}"
    if not index.target_met:
        reached = index.recall if index.target.startswith("recall") else index.agreement
        return "off target", f"{index.spec} never reached {index.target} (held out: {reached:.3f})"
    if found == "undecided":
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
    machines = sorted({f"{one.measured.cpu} ({one.measured.cores} cores)" for one in cells})
    if len(machines) > 1:
        yield f"Cells of {len(machines)} machines: {', '.join(machines)}."
    commits = sorted({one.measured.commit or "unknown" for one in cells})
    if len(commits) > 1:
        yield f"Cells of {len(commits)} commits: {', '.join(commits)}."
    other = sum(one.measured.commit != tree for one in cells) if tree is not None else 0
    if other:
        yield f"{other} of {len(cells)} cells were not measured at this tree's commit, {tree}."
    changed = sum(one.measured.dirty is True for one in cells)
    if changed:
        yield f"{changed} of {len(cells)} cells were measured with uncommitted changes."
    busy = [one.load for one in cells if one.load > one.cell.threads + BUSY]
    if busy:
        yield (
            f"{len(busy)} of {len(cells)} cells were measured on a busy machine (load up to "
            f"{max(busy):.1f}), which slows the forward more than the search."
        )
    yield from _indexes(cells)


def _indexes(cells: Sequence[Judged]) -> Iterable[str]:
    """The same base and backend, but more than one index: other vectors or another library."""
    keys: dict[tuple[str, int, int, str], set[str]] = {}
    for one in cells:
        if one.index is not None:
            what = (one.cell.base, one.cell.size, one.cell.dim, one.index.spec)
            keys.setdefault(what, set()).add(one.index.key)
    for (base, size, _, spec), found in keys.items():
        if len(found) > 1:
            yield f"{base} ({size:,}) {spec}: {len(found)} different indexes, {sorted(found)}."
