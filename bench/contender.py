"""A planned cell of one run, beside those of the other runs that are merged with it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from bench.pipeline.knowledge_base import NONE
from bench.records.recipes import Recipe, recipe
from bench.records.run import Record
from bench.records.store import Problem, Store, StoreError
from bench.report.results import Cell, Planned

Slot = tuple[Any, ...]


@dataclass(frozen=True)
class Contender:
    """A planned cell of one run, with its record if there is a usable one.

    Attributes:
        run: name of the run.
        number: place of the run among all.
        raw: what its plan says of the cell.
    """

    run: str
    number: int
    store: Store
    cell: Cell
    raw: dict[str, Any]

    @property
    def plan(self) -> Planned:
        """What is planned."""
        return self.cell.plan

    @property
    def record(self) -> Record | None:
        """What became of it."""
        return self.cell.record

    @property
    def ok(self) -> bool:
        """Whether it ended well."""
        return self.record is not None and self.record.status == "ok"

    @property
    def time(self) -> str:
        """When its record was made, ISO 8601 in UTC, which sorts as text; empty if never."""
        return self.record.provenance.time if self.record else ""

    @property
    def slot(self) -> Slot:
        """What a report calls it."""
        plan = self.plan
        base = (plan.backend, plan.keys, plan.values, plan.share, plan.control)
        return (plan.kind, plan.task, plan.method, plan.seed, *base)

    @property
    def row(self) -> Slot:
        """The slot without its seed."""
        return (*self.slot[:3], *self.slot[4:])

    @cached_property
    def recipe(self) -> Recipe | None:
        """What decides its result apart from the seed, None without a record."""
        return recipe(self.record.identity) if self.record else None

    @property
    def label(self) -> str:
        """The cell in words."""
        return self.named(f" seed {self.plan.seed}")

    def named(self, seed: str = "") -> str:
        """Its row in words, with its ``seed``."""
        plan = self.plan
        name = f"{plan.task} {plan.method}{seed}"
        if plan.kind != "retrieval":
            return name + (": controls" if plan.kind == "control" else "")
        values = (plan.keys, plan.values, plan.share, plan.control)
        base = ", ".join(str(value) for value in values if value not in (None, 1.0, NONE))
        return f"{name} + {plan.backend} ({base})"

    def file(self, suffix: str) -> Path:
        """Of the record (``.json``) or its arrays (``.npz``)."""
        return self.store.cells / f"{self.plan.key}{suffix}"

    @cached_property
    def outputs(self) -> dict[str, NDArray[Any]] | Problem:
        """The arrays beside the record, empty if there are none, or why they cannot be used."""
        try:
            return self.store.arrays(self.plan.key)
        except StoreError as error:
            return Problem(self.file(".npz"), str(error))

    @property
    def whole(self) -> bool:
        """Whether there are arrays that can be used."""
        return isinstance(self.outputs, dict) and bool(self.outputs)
