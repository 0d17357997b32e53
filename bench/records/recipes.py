"""What must be the same of cells that a report puts into one row, or beside each other.

Read from the identities of cells: what decides a result, apart from its seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bench.records.differences import flat, said
from bench.records.run import Record

OF_THE_SEED = frozenset({"seed", "student.seed", "base.seed", "base.drawn", "base.student.seed"})
OWN_OF_A_METHOD = ("method", "settings.", "models.", "seed", "kind")
DEVICE = "device"
"""Another device is another machine, not another recipe: the report warns of mixed machines."""

SHOWN = 3
"""Differences that one warning names."""


def recipe(identity: Mapping[str, Any]) -> dict[str, Any]:
    """What all seeds of one method, or of one knowledge base, have in common, by dotted path.

    >>> recipe({"seed": 1, "recipe": {"epochs": 3}, "teacher": {"seed": 0, "device": "cuda"}})
    {'recipe.epochs': 3, 'teacher.seed': 0}
    """
    return {
        path: value
        for path, value in flat(dict(identity)).items()
        if path not in OF_THE_SEED and path.rpartition(".")[2] != DEVICE
    }


def unlike(records: Iterable[Record]) -> list[str]:
    """A sentence per task whose students do not share data, teacher, recipe or start.

    What a method does not depend on (e.g. a teacher) is not held against it.
    """
    tasks: dict[str, dict[str, dict[str, dict[str, None]]]] = {}
    for record in records:
        if record.kind != "training":
            continue
        paths = tasks.setdefault(record.task, {})
        for path, value in recipe(record.identity).items():
            if not path.startswith(OWN_OF_A_METHOD):
                paths.setdefault(path, {}).setdefault(said(value), {})[record.method] = None
    lines = []
    for task, paths in tasks.items():
        mixed = {path: values for path, values in paths.items() if len(values) > 1}
        shown = [f"{path}: {_whose(values)}" for path, values in list(mixed.items())[:SHOWN]]
        more = f"; and {len(mixed) - SHOWN} more" if len(mixed) > SHOWN else ""
        if mixed:
            lines.append(f"the students of {task} were not made alike: {'; '.join(shown)}{more}.")
    return lines


def _whose(values: Mapping[str, Iterable[str]]) -> str:
    return ", ".join(f"{value} ({', '.join(methods)})" for value, methods in values.items())
