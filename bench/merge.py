"""Several runs as one: their plans united, the finished cells of all of them side by side.

The runs are only read. Where they contradict each other the merge is refused before anything is
written, unless it is said which one to prefer.
"""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.records.choice import Conflict, Copy, Prefer, choose
from bench.records.differences import unlike
from bench.records.merged import differences, names, origins, united
from bench.records.results import Results, load
from bench.records.store import RUN, Problem, Store, StoreError
from reaugkd.artifacts.atomic import replacing
from reaugkd.errors import UserError

SHOWN = 3
"""Conflicts that an error names; a dry run names all of them."""


class MergeError(UserError):
    """The folders cannot be merged."""


class ConflictError(MergeError):
    """Cells of the runs contradict each other and nothing is preferred."""


@dataclass(frozen=True)
class Merge:
    """What a merge does, or has done.

    Attributes:
        plan: the content of its ``run.json``.
        cells: one per planned cell.
        todo: those whose record is not there yet.
        conflicts: cells on which runs differ, and whose is taken.
        differences: settings that are not the same in all runs, a line each.
        problems: files that could not be used.
        notes: what else there is to know, a sentence each.
        waiting: number of cells that have no usable record in any of the runs.
    """

    plan: dict[str, Any]
    cells: list[Copy]
    todo: list[Copy]
    conflicts: list[Conflict]
    differences: list[str]
    problems: list[Problem]
    notes: list[str]
    waiting: int


def merge(into: Path, runs: Sequence[Path], *, command: str, prefer: Prefer | None = None) -> Merge:
    """Unite ``runs`` in the folder ``into``; what an earlier merge left there counts as a run.

    The plan is written first, then cell after cell, each whole or not at all: after a kill the
    same call goes on where it stopped. Where two cells contradict each other, ``prefer`` takes that
    of the run named ``first`` (what is there already comes before all), or the ``newest`` record.

    Raises:
        StoreError: if a run cannot be read or ``into`` cannot be written.
        MergeError: if ``into`` is a run that no merge has made, or lies in one of ``runs``.
        ConflictError: if cells contradict each other and nothing is preferred.
    """
    planned = preview(into, runs, command=command, prefer=prefer)
    if (conflicts := planned.conflicts) and prefer is None:
        more = f"; and {len(conflicts) - SHOWN} more" if len(conflicts) > SHOWN else ""
        raise ConflictError(
            f"{len(conflicts)} {'cells differ' if len(conflicts) > 1 else 'cell differs'} between "
            f"the runs: {'; '.join(conflict.text for conflict in conflicts[:SHOWN])}{more}; give "
            "--prefer first or --prefer newest, --dry-run shows all"
        )
    store = Store(into)
    store.create()
    store.write_run(planned.plan)
    for cell in planned.todo:
        try:
            for source, target in _files(cell, into):
                if source.is_file():
                    with source.open("rb") as reader, replacing(target) as writer:
                        shutil.copyfileobj(reader, writer)
                else:
                    target.unlink(missing_ok=True)  # of the record that is replaced
        except OSError as error:
            raise StoreError(f"cannot copy {source} to {into}: {error.strerror}") from error
    return planned


def preview(
    into: Path, runs: Sequence[Path], *, command: str, prefer: Prefer | None = None
) -> Merge:
    """What :func:`merge` would do, with every conflict; writes nothing and raises as it does."""
    sources = _read(into, runs)
    folders = names([source.folder for source in sources])
    copies = [
        Copy(folder, number, Store(source.folder), state.plan, state.record, raw)
        for number, (source, folder) in enumerate(zip(sources, folders, strict=True))
        for state, raw in zip(source.cells, source.run["cells"], strict=True)
    ]
    choice = choose(copies, prefer)
    origin = origins((source.folder, source.run) for source in sources)
    warnings = unlike(cell.record for cell in choice.cells if cell.record)
    # Choices of earlier merges are kept where they stand.
    taken = {conflict.cell: conflict.taken for conflict in choice.conflicts}
    settled = [
        Conflict(**conflict)
        for source, folder in zip(sources, folders, strict=True)
        for conflict in source.run.get("conflicts") or ()
        if taken.get(conflict["cell"], folder) == folder
    ]
    by_run = {(c.cell, c.other): c for c in reversed([*settled, *choice.conflicts])}
    plan = {
        **united(origin),
        "command": command,
        "commands": list(dict.fromkeys(str(run["command"]) for run in origin)),
        "cells": [cell.raw for cell in choice.cells],
        "merged": origin,
        "conflicts": [conflict._asdict() for conflict in reversed(by_run.values())],
        "unlike": warnings,
    }
    outside = [
        f"{source.others} records in {source.folder} are outside its last plan and are left there."
        for source in sources
        if source.others and "merged" not in source.run
    ]
    return Merge(
        plan=plan,
        cells=choice.cells,
        todo=[cell for cell in choice.cells if cell.record and not _there(cell, into)],
        conflicts=choice.conflicts,
        differences=differences(origin),
        problems=[*(p for source in sources for p in source.problems), *choice.problems],
        notes=outside + [f"Warning: {line}" for line in warnings],
        waiting=sum(cell.record is None for cell in choice.cells),
    )


def _read(into: Path, runs: Sequence[Path]) -> list[Results]:
    """What is there already, if anything, then the runs."""
    target, folders = into.resolve(), [run.resolve() for run in runs]
    for at, (run, folder) in enumerate(zip(runs, folders, strict=True)):
        if folder in folders[:at]:
            raise MergeError(f"RUN {run} is given twice")
        if folder == target or folder in target.parents:
            raise MergeError(f"INTO {into} is or lies in RUN {run}, which must not change")
    sources = [load(Store(run)) for run in runs]
    if (into / RUN).exists():
        earlier = load(Store(into))
        if "merged" not in earlier.run:
            raise MergeError(f"INTO {into} is a run of its own: name a new folder")
        return [earlier, *sources]
    visible = (path for path in into.rglob("[!.]*") if path.is_file())
    if into.is_file() or any(visible):  # hidden ones and empty folders are of a killed merge
        raise MergeError(f"INTO {into} is there and no merged run: name a new folder")
    return sources


def _files(cell: Copy, into: Path) -> list[tuple[Path, Path]]:
    """Where the arrays and the record of a cell lie, and where they belong; the record last."""
    files = [f"{cell.plan.key}{suffix}" for suffix in (".npz", ".json")]
    return [(cell.store.cells / file, Store(into).cells / file) for file in files]


def _there(cell: Copy, into: Path) -> bool:
    """Whether record and arrays lie in ``into`` byte for byte."""
    return all(
        source.is_file() == target.is_file()
        and (not source.is_file() or filecmp.cmp(source, target, shallow=False))
        for source, target in _files(cell, into)
    )
