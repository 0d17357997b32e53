"""Several runs as one: their plans united, the finished cells of all of them side by side.

The runs are only read. A cell that several of them have must be the same in all but its volatile
figures (times, memory, provenance); otherwise the merge is refused before anything is written,
unless it is said which one to prefer. A cell that ended well comes before a failed copy of it.
"""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bench.contender import Contender
from bench.contenders import Chosen, Prefer, choose, contenders
from bench.contradictions import Conflict
from bench.records.recipes import unlike
from bench.records.store import RUN, Problem, Store, StoreError
from bench.report.results import Results, load
from bench.union import Difference, Origin, differences, names, origins, united
from reaugkd.artifacts.atomic import replacing
from reaugkd.errors import UserError

LOCK = ".merge.lock"
"""In the merged run; stays there, as a lock that is deleted locks nobody out."""

SHOWN = 3
"""Conflicts that an error names; a dry run names all of them."""


class MergeError(UserError):
    """The folders cannot be merged."""


class ConflictError(MergeError):
    """Cells of the runs contradict each other and nothing is preferred."""

    def __init__(self, conflicts: Sequence[Conflict]) -> None:
        named = "; ".join(one.text for one in conflicts[:SHOWN])
        more = f"; and {len(conflicts) - SHOWN} more" if len(conflicts) > SHOWN else ""
        differ = "cells differ" if len(conflicts) > 1 else "cell differs"
        super().__init__(
            f"{len(conflicts)} {differ} between the runs: {named}{more}; give --prefer first or "
            "--prefer newest, --dry-run shows all"
        )
        self.conflicts = tuple(conflicts)


@dataclass(frozen=True)
class Merged:
    """What a merge does, or has done.

    Attributes:
        folder: of the merged run.
        planned: number of cells of the united plan.
        copied: of these, records that are copied from a run.
        there: records that were there already.
        waiting: cells that have no usable record in any of the runs.
        shared: records that several runs have, equal in all that counts.
        conflicts: cells on which runs differ, and whose is taken.
        differences: settings that are not the same in all runs.
        problems: files that could not be used.
        notes: what else there is to know, a sentence each.
    """

    folder: Path
    planned: int
    copied: int
    there: int
    waiting: int
    shared: int
    conflicts: tuple[Conflict, ...]
    differences: tuple[Difference, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def merge(
    into: Path, runs: Sequence[Path], *, command: str, prefer: Prefer | None = None
) -> Merged:
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
        MergeError: if ``into`` is a run that no merge has made, or lies in one of ``runs``, or
            if another merge writes there.
        ConflictError: if cells contradict each other and nothing is preferred.
    """
    store, before = Store(into), _planned(into)
    sources = _read(into, runs)
    chosen = choose(contenders(sources, _names(sources)), prefer)
    if chosen.conflicts and prefer is None:
        raise ConflictError(chosen.conflicts)
    outcome = _outcome(store, sources, chosen)
    store.create()
    with _alone(into):
        if _planned(into) != before:
            raise MergeError(f"INTO {into} was changed by another merge meanwhile: merge again")
        store.write_run(_plan(sources, chosen, command))
        for one in _to_copy(chosen, store):
            _copy(one, store)
    return outcome


def _planned(into: Path) -> bytes | None:
    """The plan that lies there, as it is; None if there is none that can be read."""
    try:
        return (into / RUN).read_bytes()
    except OSError:
        return None


@contextmanager
def _alone(into: Path) -> Iterator[None]:
    """Writing to ``into`` while no other merge does."""
    lock = FileLock(into / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise MergeError(f"INTO {into}: another merge is writing there: wait for it") from error
    except OSError as error:
        raise StoreError(f"cannot write results to {into}: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def preview(into: Path, runs: Sequence[Path], *, prefer: Prefer | None = None) -> Merged:
    """What :func:`merge` would do, with every conflict; writes nothing.

    Raises:
        StoreError: if a run cannot be read.
        MergeError: if ``into`` is a run that no merge has made, or lies in one of ``runs``.
    """
    sources = _read(into, runs)
    return _outcome(Store(into), sources, choose(contenders(sources, _names(sources)), prefer))


def _read(into: Path, runs: Sequence[Path]) -> list[Results]:
    """What is there already, if anything, then the runs."""
    seen: set[Path] = set()
    target = into.resolve()
    for folder in runs:
        real = folder.resolve()
        if real in seen:
            raise MergeError(f"RUN {folder} is given twice")
        if real == target or real in target.parents:
            raise MergeError(f"INTO {into} is or lies in RUN {folder}, which must not change")
        seen.add(real)
    sources = [load(Store(folder)) for folder in runs]
    if (into / RUN).exists():
        before = load(Store(into))
        if "merged" not in before.run:
            raise MergeError(f"INTO {into} is a run of its own: name a new folder")
        sources = [before, *sources]
    elif into.exists() and not (into.is_dir() and _empty(into)):
        raise MergeError(f"INTO {into} is there and no merged run: name a new folder")
    return sources


def _names(sources: Sequence[Results]) -> tuple[str, ...]:
    return names([source.folder for source in sources])


def _empty(folder: Path) -> bool:
    """Whether nothing lies there but what a killed merge leaves: hidden files, an empty folder."""
    return all(
        path.name.startswith(".") or (path.is_dir() and _empty(path)) for path in folder.iterdir()
    )


def _plan(sources: Sequence[Results], chosen: Chosen, command: str) -> dict[str, Any]:
    """The content of ``run.json``."""
    found = _origins(sources)
    return {
        **united(found),
        "command": command,
        "commands": list(dict.fromkeys(str(one["command"]) for one in found)),
        "cells": [one.raw for one in chosen.cells],
        "merged": found,
        "conflicts": _settled(sources, chosen),
        "unlike": _unlike(chosen),
    }


def _settled(sources: Sequence[Results], chosen: Chosen) -> list[dict[str, Any]]:
    """What is preferred to what: by this merge, and by earlier ones where their choice stands."""
    taken = {one.cell: one.taken for one in chosen.conflicts}
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for source, name in zip(sources, _names(sources), strict=True):
        for one in source.run.get("conflicts") or ():
            if taken.get(one["cell"], name) == name:
                found[one["cell"], one["other"]] = one
    for conflict in chosen.conflicts:
        found.setdefault((conflict.cell, conflict.other), asdict(conflict))
    return list(found.values())


def _origins(sources: Sequence[Results]) -> list[Origin]:
    return origins((source.folder, source.run) for source in sources)


def _outcome(store: Store, sources: Sequence[Results], chosen: Chosen) -> Merged:
    recorded = sum(one.record is not None for one in chosen.cells)
    copied = len(_to_copy(chosen, store))
    problems = [problem for source in sources for problem in source.problems]
    before = {
        name
        for source, name in zip(sources, _names(sources), strict=True)
        if source.folder == store.folder
    }
    return Merged(
        folder=store.folder,
        planned=len(chosen.cells),
        copied=copied,
        there=recorded - copied,
        waiting=len(chosen.cells) - recorded,
        shared=sum(len({*runs} - before) > 1 for runs in chosen.copies.values()),
        conflicts=chosen.conflicts,
        differences=tuple(differences(_origins(sources))),
        problems=(*problems, *chosen.problems),
        notes=tuple(_notes(sources, chosen)),
    )


def _notes(sources: Sequence[Results], chosen: Chosen) -> list[str]:
    notes = [
        f"{source.others} records in {source.folder} are outside its last plan and are left there."
        for source in sources
        if source.others and "merged" not in source.run
    ]
    if chosen.torn:
        notes.append(
            f"{chosen.torn} cells stand on another copy of their student than the one taken: only "
            "their run has them."
        )
    return notes + [f"Warning: {line}" for line in _unlike(chosen)]


def _unlike(chosen: Chosen) -> list[str]:
    return unlike(one.record for one in chosen.cells if one.record)


def _to_copy(chosen: Chosen, store: Store) -> list[Contender]:
    """Those that are not there byte for byte."""
    recorded = [one for one in chosen.cells if one.record]
    return [one for one in recorded if not all(_there(one, store, s) for s in (".npz", ".json"))]


def _there(one: Contender, store: Store, suffix: str) -> bool:
    source, target = one.file(suffix), _target(one, store, suffix)
    if source.resolve() == target.resolve():
        return True
    if not source.is_file() or not target.is_file():
        return source.is_file() == target.is_file()
    return filecmp.cmp(source, target, shallow=False)


def _target(one: Contender, store: Store, suffix: str) -> Path:
    return store.cells / one.file(suffix).name


def _copy(one: Contender, store: Store) -> None:
    """Copy the arrays, then the record; each appears whole or not at all.

    Raises:
        StoreError: naming the folder, e.g. because the disk is full.
    """
    try:
        if one.file(".npz").is_file():
            _copy_file(one.file(".npz"), _target(one, store, ".npz"))
        else:
            _target(one, store, ".npz").unlink(missing_ok=True)  # of the record that is replaced
        _copy_file(one.file(".json"), _target(one, store, ".json"))
    except OSError as error:
        message = f"cannot copy {one.file('.json')} to {store.folder}: {error.strerror}"
        raise StoreError(message) from error


def _copy_file(source: Path, target: Path) -> None:
    with source.open("rb") as reader, replacing(target) as writer:
        shutil.copyfileobj(reader, writer)
