"""What a run has finished and a submission may take: one cell per task, nothing trained for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.records.base import NONE
from bench.records.planned import Planned
from bench.records.results import CellState, Results
from bench.records.store import StoreError
from reaugkd.artifacts.store import Artifact, ArtifactStore, Build
from reaugkd.errors import UnknownNameError, UserError
from reaugkd.reporter import Reporter
from reaugkd.tasks import glue

CHEAP = frozenset({"knowledge-base", "index", "tokens", "student-fit"})
"""Kinds of artefacts that no training is needed for: they may be made again."""


class FinishedStore(ArtifactStore):
    """A cache in which nothing is trained: what would have to be is an error.

    ``command`` is the one that the error names.
    """

    def __init__(self, root: Path, reporter: Reporter, command: str) -> None:
        super().__init__(root, reporter)
        self._command = command

    def get(self, kind: str, identity: Mapping[str, Any], build: Build) -> Artifact:
        """As of every store; a UserError tells of what is gone, or damaged, and not cheap."""
        if kind in CHEAP:
            return super().get(kind, identity, build)
        words = [str(identity[name]) for name in ("task", "method", "seed") if name in identity]

        def refuse(_: Path) -> None:
            raise UserError(
                f"{' '.join([kind, *words])} is not in the cache {self.root}: give --cache as for "
                f"the run, or train it again by `{self._command}`"
            )

        if not self.has(kind, identity):
            refuse(self.root)
        return super().get(kind, identity, refuse)


@dataclass(frozen=True)
class StudentChoice:
    """Whose answers are submitted.

    Attributes:
        method: e.g. ``"reaugkd"``.
        seed: None for the first of the run.
        backend: in its canonical spelling; None for the first of the plan.
        retrieval: whether the knowledge base is asked; without it the student answers alone.
    """

    method: str
    seed: int | None = None
    backend: str | None = None
    retrieval: bool = True


@dataclass(frozen=True)
class Chosen:
    """The finished cells of a run by GLUE task, and of every other task of GLUE why it has none."""

    cells: Mapping[str, CellState]
    missing: Mapping[str, str]

    @property
    def lacking(self) -> list[str]:
        """The missing tasks with their reasons, e.g. ``SST-2, RTE (not planned)``."""
        titles: dict[str, list[str]] = {}
        for task, reason in self.missing.items():
            titles.setdefault(reason, []).append(glue.TASKS[task].title)
        return [f"{', '.join(those)} ({reason})" for reason, those in titles.items()]


def choose(results: Results, wanted: StudentChoice) -> Chosen:
    """The cell of each task: the first that the plan names among those that are ``wanted``.

    It is never chosen by a score. A cell that has not ended well is not replaced by another one.

    Raises:
        StoreError: if there is none at all, or no such seed.
        UnknownNameError: if the run has no such method.
    """
    methods = dict.fromkeys(cell.plan.method for cell in results.cells)
    if wanted.method not in methods:
        raise UnknownNameError("method of the run", wanted.method, methods)
    seeds = [cell.plan.seed for cell in results.cells if cell.plan.method == wanted.method]
    seed = seeds[0] if wanted.seed is None else wanted.seed
    if seed not in seeds:
        shown = ", ".join(map(str, dict.fromkeys(seeds)))
        raise StoreError(f"{results.folder} has no seed {seed} of {wanted.method}, only {shown}")
    fitting = [c for c in results.cells if c.plan.seed == seed and _fits(c.plan, wanted)]
    cells: dict[str, CellState] = {}
    missing: dict[str, str] = {}
    for task in glue.TASKS:
        cell = next((cell for cell in fitting if cell.plan.task == task), None)
        if cell is None:
            missing[task] = f"{_what(wanted, seed)} is not planned"
        elif cell.record is None or cell.status != "ok":
            missing[task] = f"{cell.plan.label}: {cell.status} ({cell.reason})"
        elif cell.record.suite != "glue":
            missing[task] = f"{cell.plan.label} is of other rows than GLUE's"
        else:
            cells[task] = cell
    if not cells:
        reason = next((why for why in missing.values() if ":" in why), "")
        raise StoreError(
            f"{results.folder} has no finished cell of {_what(wanted, seed)} on a task of GLUE"
            + (f"; {reason}" if reason else _hint(results, wanted))
        )
    return Chosen(cells, missing)


def _fits(plan: Planned, wanted: StudentChoice) -> bool:
    if plan.method != wanted.method:
        return False
    if not wanted.retrieval:
        return plan.kind == "training"
    asked = wanted.backend in (None, plan.backend, plan.asked)
    return plan.kind == "retrieval" and plan.control == NONE and asked


def _what(wanted: StudentChoice, seed: int) -> str:
    behind = f" behind {wanted.backend}" if wanted.backend else ""
    how = f" with retrieval{behind}" if wanted.retrieval else " alone"
    return f"{wanted.method} seed {seed}{how}"


def _hint(results: Results, wanted: StudentChoice) -> str:
    """What the run has instead."""
    tasks = ", ".join(dict.fromkeys(cell.plan.task for cell in results.cells))
    alone = "" if not wanted.retrieval else "; --no-retrieval takes the student alone"
    return f" (its tasks: {tasks}){alone}"
