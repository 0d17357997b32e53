"""What was published on GLUE for students of BERT-base, from ``published.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import PurePath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

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

    def matches(self, init: str, parameters: int | None) -> bool:
        """Whether a model that starts from ``init`` (as a record says it) is this one.

        A local folder is known by its last part. A model of another size, or of none that is known,
        is another model.
        """
        parts, size = INIT.fullmatch(init), self.parameters
        if parts is None or size is None or parameters is None:
            return False
        if abs(parameters - size) > SAME_SIZE * size:
            return False
        name, names = parts["name"], self.names
        if name.startswith((".", "/", "~")) or name.count("/") > 1:
            name, names = PurePath(name).name, tuple(PurePath(other).name for other in names)
        layers = tuple(map(int, parts["layers"].split(","))) if parts["layers"] else None
        return name in names and layers == self.layers


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
    """All of the file."""

    rows: dict[str, dict[str, int]] = Field(description="task -> train or test split -> rows")
    model: dict[str, Model]
    source: dict[str, Source]
    result: tuple[Result, ...]


@cache
def published() -> Published:
    """What the package's file holds."""
    text = (files("bench.report") / FILE).read_text(encoding="utf-8")
    return Published.model_validate(tomllib.loads(text))
