"""A run as the report sees it: what was planned, and what became of each cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bench.pipeline.knowledge_base import NONE, percent
from bench.records.run import Record, RetrievalResult, TrainingResult
from bench.records.store import RUN, Problem, Store, StoreError

HELD_OUT = "held_out"
BASE_AXES = ("keys", "values", "share", "control")
"""What makes a knowledge base; the backend is what it lies behind."""

Pairs = list[tuple[Record, RetrievalResult]]
Status = Literal["ok", "failed", "skipped", "unreadable", "missing"]


class Planned(BaseModel):
    """A cell of ``run.json``; what else stands there is not the report's business."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    key: str
    kind: Literal["training", "retrieval", "control"]
    task: str
    method: str
    seed: int
    backend: str | None = None
    keys: str | None = None
    values: str | None = None
    share: float | None = None
    control: str | None = None
    needs: str | None = Field(None, description="key of the training cell it follows")


@dataclass(frozen=True)
class Cell:
    """A planned cell with its record, if there is a usable one."""

    plan: Planned
    status: Status
    reason: str
    record: Record | None


@dataclass(frozen=True)
class Results:
    """All that the tables are made from.

    Attributes:
        folder: of the run.
        run: the content of ``run.json``: command, preset, config.
        cells: in the order of the plan.
        others: number of usable records that the last plan does not name.
        problems: files that could not be used.
    """

    folder: Path
    run: dict[str, Any]
    cells: tuple[Cell, ...]
    others: int
    problems: tuple[Problem, ...]

    @property
    def records(self) -> list[Record]:
        """Of planned cells whatever their status, in the order of the plan."""
        return [cell.record for cell in self.cells if cell.record]

    @property
    def trained(self) -> list[tuple[Record, TrainingResult]]:
        """Finished students."""
        return [(r, r.training) for r in self.records if r.status == "ok" and r.training]

    @property
    def retrieved(self) -> list[tuple[Record, RetrievalResult]]:
        """Finished students with a knowledge base."""
        return [(r, r.retrieval) for r in self.records if r.status == "ok" and r.retrieval]

    @cached_property
    def references(self) -> dict[tuple[str, str, int], Planned]:
        """(task, method, seed) -> the planned knowledge base that others are compared with.

        The plan names it first, whatever became of its cell.
        """
        found: dict[tuple[str, str, int], Planned] = {}
        for cell in self.cells:
            plan = cell.plan
            if plan.kind == "retrieval":
                found.setdefault((plan.task, plan.method, plan.seed), plan)
        return found

    def first_index(self, task: str, method: str) -> str | None:
        """The index that the plan names first, whatever became of its cells; None without any.

        It stands for a method with retrieval wherever one index must: to take the best by its test
        score would be a choice on the test split, to take all would count one method many times.
        """
        return self._first_indexes.get((task, method))

    @cached_property
    def _first_indexes(self) -> dict[tuple[str, str], str]:
        found: dict[tuple[str, str], str] = {}
        for cell in self.cells:
            if cell.plan.kind == "retrieval":
                found.setdefault((cell.plan.task, cell.plan.method), self.index_name(cell.plan))
        return found

    @property
    def one_at_a_time(self) -> bool:
        """Whether the run varies its knowledge base one axis at a time around the reference."""
        retrieval = (self.run.get("config") or {}).get("retrieval") or {}
        return bool(retrieval.get("design") == "one-at-a-time")

    def index_name(self, cell: Planned | RetrievalResult) -> str:
        """How a knowledge base behind a backend is named: keys and values only where they vary.

        ``faiss:Flat``, or ``faiss:Flat, teacher keys, hard values``. A smaller base and one that
        must not help always say so: ``exact, share 10 %``, ``exact, shuffled labels``.
        """
        parts = [str(cell.backend)]
        parts += [f"{cell.keys} keys"] if "keys" in self._varied else []
        parts += [f"{cell.values} values"] if "values" in self._varied else []
        parts += [f"share {percent(cell.share)}"] if cell.share not in (None, 1) else []
        parts += [cell.control.replace("-", " ")] if cell.control not in (None, NONE) else []
        return ", ".join(parts)

    @cached_property
    def _varied(self) -> frozenset[str]:
        """Axes of the knowledge base that the names of indexes must say."""
        plans = [cell.plan for cell in self.cells if cell.plan.backend]
        varied = (axis for axis in ("keys", "values") if len({getattr(p, axis) for p in plans}) > 1)
        return frozenset(varied)

    def shown(self, plan: Planned) -> bool:
        """Whether the tables of indexes show a retrieval cell.

        Of a run that varies one axis at a time they show the reference knowledge base behind each
        of its backends; what else was varied stands in the attribution.
        """
        return self._shown(plan, self.references[plan.task, plan.method, plan.seed])

    def _shown(self, cell: Planned | RetrievalResult, reference: Planned) -> bool:
        same = all(getattr(cell, axis) == getattr(reference, axis) for axis in BASE_AXES)
        return same or not self.one_at_a_time

    @cached_property
    def by_index(self) -> dict[tuple[str, str, str], Pairs]:
        """Finished retrieval cells by task, method and index, each in the order of its seeds.

        Which of them, see :meth:`shown`.
        """
        found: dict[tuple[str, str, str], Pairs] = {}
        for record, result in self.retrieved:
            if self._shown(result, self.references[record.task, record.method, record.seed]):
                at = record.task, record.method, self.index_name(result)
                found.setdefault(at, []).append((record, result))
        return {at: sorted(pairs, key=lambda pair: pair[0].seed) for at, pairs in found.items()}


def load(store: Store) -> Results:
    """Read a run; files that cannot be used become problems, records not planned are counted.

    So do records that contradict their plan, or the first record of their task.

    Raises:
        StoreError: if there is no run, or its plan is damaged.
    """
    run = store.read_run()
    try:
        plan = TypeAdapter(list[Planned]).validate_python(run["cells"])
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        message = f"{store.folder / RUN} is damaged: cells: {where}: {error.errors()[0]['msg']}"
        raise StoreError(message) from error
    records, problems = store.records()
    found = {record.key: record for record in records}
    for key, reason in _at_odds(plan, found).items():
        problems.append(Problem(store.cells / f"{key}.json", reason))
        del found[key]
    unreadable = {problem.path.stem: problem.reason for problem in problems}
    states = {cell.key: _state(found.get(cell.key), unreadable.get(cell.key)) for cell in plan}
    cells = []
    for cell in plan:
        status, reason = states[cell.key]
        needed = states.get(cell.needs or "", ("ok", ""))[0]
        if status == "missing" and needed != "ok":
            reason = f"its training cell is {needed}"
        cells.append(Cell(cell, status, reason, found.get(cell.key)))
    others = len(found.keys() - states.keys())
    return Results(store.folder, run, tuple(cells), others, tuple(problems))


def _at_odds(plan: Iterable[Planned], found: Mapping[str, Record]) -> dict[str, str]:
    """Key -> why its record cannot stand where the plan has it."""
    tasks: dict[str, Record] = {}
    odd: dict[str, str] = {}
    for cell in plan:
        if (record := found.get(cell.key)) is None:
            continue
        if reason := _contradiction(record, cell, ("kind", "task", "method", "seed")):
            odd[cell.key] = f"{reason} in its plan"
            continue
        first = tasks.setdefault(record.task, record)
        if reason := _contradiction(record, first, ("regression", "select_on", "tests")):
            odd[cell.key] = f"{reason} in {first.key} of the same task"
    return odd


def _contradiction(record: Record, other: Planned | Record, names: Iterable[str]) -> str | None:
    pairs = {name: (getattr(record, name), getattr(other, name)) for name in names}
    told = (f"{name}: {a}, but {b}" for name, (a, b) in pairs.items() if a != b)
    return next(told, None)


def _state(record: Record | None, unreadable: str | None) -> tuple[Status, str]:
    if record:
        return record.status, " ".join((record.reason or "").split())
    if unreadable:
        return "unreadable", unreadable
    return "missing", "not run yet"
