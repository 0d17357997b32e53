"""What was published on GLUE for students of BERT-base, from ``published.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import PurePath
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reaugkd.tasks import TASKS

FILE = "published.toml"
SAME_SIZE = 0.02
"""How far numbers of parameters may differ: a pooler is 0.9 % of six layers of BERT."""

INIT = re.compile(r"(?P<name>.*?)(?: \([^)]*\))?(?:@(?P<layers>[\d,]+))?")
"""What ``ModelSpec.describe`` writes: a name, a revision, layers."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Model(_Strict):
    """A student or a teacher, and how to know that a run used it."""

    title: str
    names: tuple[str, ...] = Field((), description="hub names; none if it cannot be matched")
    layers: tuple[int, ...] | None = Field(None, description="that were kept; None: all")
    parameters: int | None = None

    def matches(self, init: str, parameters: int) -> bool:
        """Whether a model that starts from ``init`` (as a record says it) is this one.

        A local folder is known by its last part. A model of another size is another model.
        """
        found = INIT.fullmatch(init)
        if found is None or self.parameters is None:
            return False
        layers = tuple(map(int, found["layers"].split(","))) if found["layers"] else None
        if layers != self.layers:
            return False
        if abs(parameters - self.parameters) > SAME_SIZE * self.parameters:
            return False
        name = found["name"]
        local = name.startswith((".", "/", "~")) or name.count("/") > 1
        if local:
            return PurePath(name).name in {known.rpartition("/")[2] for known in self.names}
        return name in self.names


class Source(_Strict):
    """Where results were published, and for which models."""

    label: str = Field(description="short, for tables")
    title: str
    tag: Literal["verified", "recalled"]
    teacher: str
    student: str
    note: str | None = None


class Result(_Strict):
    """What one source says of one method."""

    source: str
    method: str = Field(description="a registered method, or the teacher")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="of the method, where the source tells them apart"
    )
    retrieval: bool = False
    scores: dict[str, dict[str, dict[str, float]]] = Field(
        description="task -> split (test, test_... are the hidden ones) -> metric -> points"
    )

    def each(self) -> Iterator[tuple[str, str, str, float]]:
        """(task, split, metric, points) of every score, in the order of the file."""
        for task, splits in self.scores.items():
            for split, metrics in splits.items():
                for metric, value in metrics.items():
                    yield task, split, metric, value


class Published(_Strict):
    """All of the file.

    Every name in it is known: tasks, splits, metrics, models and sources.
    """

    rows: dict[str, dict[str, int]] = Field(description="task -> train or test split -> rows")
    model: dict[str, Model]
    source: dict[str, Source]
    result: tuple[Result, ...]

    @model_validator(mode="after")
    def _known(self) -> Self:
        for source in self.source.values():
            for name in (source.teacher, source.student):
                if name not in self.model:
                    raise ValueError(f"source '{source.label}': no model '{name}'")
        for task, counts in self.rows.items():
            if task not in TASKS or set(counts) != {"train", *TASKS[task].tests}:
                raise ValueError(f"rows.{task}: no such task, or other splits than its own")
        for result in self.result:
            if result.source not in self.source:
                raise ValueError(f"result of {result.method}: no source '{result.source}'")
            for task, split, metric, value in result.each():
                where = f"{result.source}, {result.method}: {task} {split} {metric} = {value}"
                if task not in self.rows or split not in _splits(task):
                    raise ValueError(f"{where}: no such task or split")
                if metric not in TASKS[task].metrics or not 1 < value <= 100:
                    raise ValueError(f"{where}: not a metric of the task, or not points")
        return self


def _splits(task: str) -> set[str]:
    """Splits that are published: the test splits of this project, and GLUE's hidden ones."""
    ours = set(TASKS[task].tests)
    return ours | {name.replace("dev", "test") for name in ours}


def published() -> Published:
    """What the package's file holds."""
    text = (files("bench.report") / FILE).read_text(encoding="utf-8")
    return Published.model_validate(tomllib.loads(text))
