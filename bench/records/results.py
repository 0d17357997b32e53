"""A run as it is read back: what was planned, and what became of each cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from bench.records.base import MARGIN, USUAL, skipping, unusual
from bench.records.frozen import first_of
from bench.records.planned import Planned
from bench.records.run import Record, RetrievalResult, TrainingResult
from bench.records.store import RUN, Problem, Store, StoreError

HELD_OUT = "held_out"
CHEAPER = ("condense", "pca", "value_bits", "count_weight", "skip_rule")
"""Fields of a retrieval cell that say what makes it cheaper."""

CELL_AXES = ("keys", "values", "share", "control", *CHEAPER, "backend")
"""What tells the retrieval cells of a student apart."""


def as_usual(cell: Planned | RetrievalResult, axis: str) -> bool:
    """Whether ``axis`` makes a cell no cheaper; false for all other axes."""
    return axis in CHEAPER and bool(getattr(cell, axis) == USUAL[axis.removesuffix("_rule")])


Pairs = list[tuple[Record, RetrievalResult]]
Status = Literal["ok", "failed", "skipped", "unreadable", "missing"]


@dataclass(frozen=True)
class CellState:
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
    cells: tuple[CellState, ...]
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
        plans = [cell.plan for cell in self.cells if cell.plan.kind == "retrieval"]
        return {(plan.task, plan.method, plan.seed): plan for plan in reversed(plans)}

    def first_index(self, task: str, method: str) -> str | None:
        """The index that the plan names first, whatever became of its cells; None without any.

        It stands for a method with retrieval wherever one index must: to take the best by its test
        score would be a choice on the test split, to take all would count one method many times.
        """
        return self._first_indexes.get((task, method))

    @cached_property
    def _first_indexes(self) -> dict[tuple[str, str], str]:
        plans = [cell.plan for cell in self.cells if cell.plan.kind == "retrieval"]
        return {(plan.task, plan.method): self.index_name(plan) for plan in reversed(plans)}

    @property
    def one_at_a_time(self) -> bool:
        """Whether the run varies its knowledge base one axis at a time around the reference."""
        retrieval = (self.run.get("config") or {}).get("retrieval") or {}
        return bool(retrieval.get("design") == "one-at-a-time")

    def margin(self, task: str) -> float:
        """Points that a cheaper knowledge base of ``task`` may lose, as the plan states them."""
        of_task = (self.run.get("tasks") or {}).get(task) or self.run.get("config") or {}
        return float((of_task.get("retrieval") or {}).get("margin", MARGIN))

    def index_name(self, cell: Planned | RetrievalResult) -> str:
        """How a knowledge base behind a backend is named: keys and values only where they vary.

        ``faiss:Flat``, or ``faiss:Flat, teacher keys, hard values``. A smaller base and one that
        must not help always say so: ``exact, share 10 %``, ``exact, shuffled labels``,
        ``exact, kmeans:256, skip lossless``.
        """
        parts = [str(cell.backend)]
        parts += [f"{cell.keys} keys"] if "keys" in self._varied else []
        parts += [f"{cell.values} values"] if "values" in self._varied else []
        return ", ".join([*parts, *unusual(cell), *skipping(cell.skip_rule)])

    @cached_property
    def _varied(self) -> frozenset[str]:
        """Axes of the knowledge base that the names of indexes must say."""
        plans = [cell.plan for cell in self.cells if cell.plan.backend]
        axes = ("keys", "values")
        return frozenset(axis for axis in axes if len({getattr(p, axis) for p in plans}) > 1)

    def shown(self, plan: Planned) -> bool:
        """Whether the tables of indexes show a retrieval cell.

        Of a run that varies one axis at a time they show the reference knowledge base behind each
        of its backends; what else was varied stands in the attribution.
        """
        return self._shown(plan, self.references[plan.task, plan.method, plan.seed])

    def _shown(self, cell: Planned | RetrievalResult, reference: Planned) -> bool:
        axes = (axis for axis in CELL_AXES if axis != "backend")
        same = all(getattr(cell, axis) == getattr(reference, axis) for axis in axes)
        return same or not self.one_at_a_time

    @cached_property
    def by_index(self) -> dict[tuple[str, str, str], Pairs]:
        """Finished retrieval cells by task, method and index, each in the order of its seeds.

        Which of them, see :meth:`shown`.
        """
        pairs: dict[tuple[str, str, str], Pairs] = {}
        for record, result in self.retrieved:
            if self._shown(result, self.references[record.task, record.method, record.seed]):
                row = record.task, record.method, self.index_name(result)
                pairs.setdefault(row, []).append((record, result))
        return {row: sorted(seeds, key=lambda pair: pair[0].seed) for row, seeds in pairs.items()}


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
        reason = f"{store.folder / RUN} is damaged: cells: {first_of(error)}"
        raise StoreError(reason) from error
    usable, problems = store.records()
    records = {record.key: record for record in usable}
    for key, reason in _at_odds(plan, records).items():
        problems.append(Problem(store.cells / f"{key}.json", reason))
        del records[key]
    unreadable = {problem.path.stem: problem.reason for problem in problems}
    states = {cell.key: _state(records.get(cell.key), unreadable.get(cell.key)) for cell in plan}
    cells = []
    for cell in plan:
        status, reason = states[cell.key]
        needed = states.get(cell.needs or "", ("ok", ""))[0]
        if status == "missing" and needed != "ok":
            reason = f"its training cell is {needed}"
        cells.append(CellState(cell, status, reason, records.get(cell.key)))
    others = len(records.keys() - states.keys())
    return Results(store.folder, run, tuple(cells), others, tuple(problems))


def _at_odds(plan: Iterable[Planned], records: Mapping[str, Record]) -> dict[str, str]:
    """Key -> why its record cannot stand where the plan has it."""
    tasks: dict[str, Record] = {}
    reasons: dict[str, str] = {}
    for cell in plan:
        if (record := records.get(cell.key)) is None:
            continue
        if reason := _contradiction(record, cell, ("kind", "task", "method", "seed")):
            reasons[cell.key] = f"{reason} in its plan"
            continue
        first = tasks.setdefault(record.task, record)
        if reason := _contradiction(record, first, ("regression", "select_on", "tests")):
            reasons[cell.key] = f"{reason} in {first.key} of the same task"
    return reasons


def _contradiction(record: Record, other: Planned | Record, names: Iterable[str]) -> str | None:
    pairs = {name: (getattr(record, name), getattr(other, name)) for name in names}
    return next((f"{name}: {a}, but {b}" for name, (a, b) in pairs.items() if a != b), None)


def _state(record: Record | None, unreadable: str | None) -> tuple[Status, str]:
    if record:
        return record.status, " ".join((record.reason or "").split())
    if unreadable:
        return "unreadable", unreadable
    return "missing", "not run yet"
