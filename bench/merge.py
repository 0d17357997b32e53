"""Several runs as one: their plans united, the finished cells of all of them side by side.

The runs are only read. Where they contradict each other the merge is refused before anything is
written, unless it is said which one to prefer.
"""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.records.choice import Conflict, Copy, Prefer, choose
from bench.records.differences import unlike
from bench.records.merged import SettingDifference, differences, names, origins, united
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

    def __init__(self, conflicts: Sequence[Conflict]) -> None:
        named = "; ".join(conflict.text for conflict in conflicts[:SHOWN])
        more = f"; and {len(conflicts) - SHOWN} more" if len(conflicts) > SHOWN else ""
        differ = "cells differ" if len(conflicts) > 1 else "cell differs"
        super().__init__(
            f"{len(conflicts)} {differ} between the runs: {named}{more}; give --prefer first or "
            "--prefer newest, --dry-run shows all"
        )


@dataclass(frozen=True)
class Merge:
    """What a merge does, or has done.

    Attributes:
        folder: of the merged run.
        plan: the content of its ``run.json``.
        cells: one per planned cell.
        todo: those whose record is not there yet.
        conflicts: cells on which runs differ, and whose is taken.
        differences: settings that are not the same in all runs.
        problems: files that could not be used.
        notes: what else there is to know, a sentence each.
    """

    folder: Path
    plan: dict[str, Any]
    cells: tuple[Copy, ...]
    todo: tuple[Copy, ...]
    conflicts: tuple[Conflict, ...]
    differences: tuple[SettingDifference, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    @property
    def waiting(self) -> int:
        """Number of cells that have no usable record in any of the runs."""
        return sum(cell.record is None for cell in self.cells)

    @property
    def kept(self) -> int:
        """Number of records that were there already."""
        return len(self.cells) - len(self.todo) - self.waiting


def merge(into: Path, runs: Sequence[Path], *, command: str, prefer: Prefer | None = None) -> Merge:
    """Unite ``runs`` in the folder ``into``; what an earlier merge left there counts as a run.

    The plan is written first, then cell after cell, each whole or not at all: after a kill the
    same call goes on where it stopped.

    Args:
        into: a new folder, or one that a merge has made.
        runs: folders of runs; none of their files is changed.
        command: the command line, for the merged run's plan.
        prefer: whose cell to take where two contradict each other: that of the run named
            ``first`` (what is there already comes before all), or the ``newest`` record.

    Raises:
        StoreError: if a run cannot be read or ``into`` cannot be written.
        MergeError: if ``into`` is a run that no merge has made, or lies in one of ``runs``.
        ConflictError: if cells contradict each other and nothing is preferred.
    """
    planned = preview(into, runs, command=command, prefer=prefer)
    if planned.conflicts and prefer is None:
        raise ConflictError(planned.conflicts)
    store = Store(into)
    store.create()
    store.write_run(planned.plan)
    for cell in planned.todo:
        _copy(cell, store)
    return planned


def preview(
    into: Path, runs: Sequence[Path], *, command: str, prefer: Prefer | None = None
) -> Merge:
    """What :func:`merge` would do, with every conflict; writes nothing.

    Raises:
        StoreError: if a run cannot be read.
        MergeError: if ``into`` is a run that no merge has made, or lies in one of ``runs``.
    """
    sources = _read(into, runs)
    folders = names([source.folder for source in sources])
    choice = choose(list(_copies(sources, folders)), prefer)
    cells, conflicts = tuple(choice.cells.values()), tuple(choice.conflicts.values())
    origin = origins((source.folder, source.run) for source in sources)
    warnings = unlike(cell.record for cell in cells if cell.record)
    plan = {
        **united(origin),
        "command": command,
        "commands": list(dict.fromkeys(str(run["command"]) for run in origin)),
        "cells": [cell.raw for cell in cells],
        "merged": origin,
        "conflicts": _settled(sources, folders, conflicts),
        "unlike": warnings,
    }
    outside = (
        f"{source.others} records in {source.folder} are outside its last plan and are left there."
        for source in sources
        if source.others and "merged" not in source.run
    )
    return Merge(
        folder=into,
        plan=plan,
        cells=cells,
        todo=tuple(cell for cell in cells if cell.record and not _there(cell, into)),
        conflicts=conflicts,
        differences=tuple(differences(origin)),
        problems=(*(p for source in sources for p in source.problems), *choice.problems),
        notes=(*outside, *(f"Warning: {line}" for line in warnings)),
    )


def _read(into: Path, runs: Sequence[Path]) -> list[Results]:
    """What is there already, if anything, then the runs."""
    folders: set[Path] = set()
    target = into.resolve()
    for run in runs:
        folder = run.resolve()
        if folder in folders:
            raise MergeError(f"RUN {run} is given twice")
        if folder == target or folder in target.parents:
            raise MergeError(f"INTO {into} is or lies in RUN {run}, which must not change")
        folders.add(folder)
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


def _copies(sources: Sequence[Results], folders: Sequence[str]) -> Iterator[Copy]:
    """Every planned cell of every run, in the order of the runs and of their plans."""
    for number, (source, folder) in enumerate(zip(sources, folders, strict=True)):
        for state, raw in zip(source.cells, source.run["cells"], strict=True):
            yield Copy(folder, number, Store(source.folder), state.plan, state.record, raw)


def _settled(
    sources: Sequence[Results], folders: Sequence[str], conflicts: Iterable[Conflict]
) -> list[dict[str, Any]]:
    """What is preferred to what: by this merge, and by earlier ones where their choice stands."""
    taken = {conflict.cell: conflict.taken for conflict in conflicts}
    earlier = [
        conflict
        for source, folder in zip(sources, folders, strict=True)
        for conflict in source.run.get("conflicts") or ()
        if taken.get(conflict["cell"], folder) == folder
    ]
    settled: dict[tuple[str, str], dict[str, Any]] = {}
    for conflict in (*earlier, *map(asdict, conflicts)):
        settled.setdefault((conflict["cell"], conflict["other"]), conflict)
    return list(settled.values())


def _there(cell: Copy, into: Path) -> bool:
    """Whether record and arrays lie in ``into`` byte for byte."""
    pairs = [(cell.file(end), Store(into).cells / cell.file(end).name) for end in (".npz", ".json")]
    return all(
        source.is_file() == target.is_file()
        and (not source.is_file() or filecmp.cmp(source, target, shallow=False))
        for source, target in pairs
    )


def _copy(cell: Copy, store: Store) -> None:
    """Copy the arrays, then the record; each appears whole or not at all.

    Raises:
        StoreError: naming the folder, e.g. because the disk is full.
    """
    try:
        for source in (cell.file(".npz"), cell.file(".json")):
            target = store.cells / source.name
            if source.is_file():
                _copy_file(source, target)
            else:
                target.unlink(missing_ok=True)  # of the record that is replaced
    except OSError as error:
        message = f"cannot copy {cell.file('.json')} to {store.folder}: {error.strerror}"
        raise StoreError(message) from error


def _copy_file(source: Path, target: Path) -> None:
    with source.open("rb") as reader, replacing(target) as writer:
        shutil.copyfileobj(reader, writer)
