"""Where two identities of cells differ, and which differences make them another recipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from bench.records.run import Record

OF_THE_SEED = frozenset({"seed", "student.seed", "base.seed", "base.drawn", "base.student.seed"})
OWN_OF_A_METHOD = ("method", "settings.", "models.", "seed", "kind")
DEVICE = "device"
"""Another device is another machine, not another recipe: the report warns of mixed machines."""

SHOWN = 3
"""Differences that one sentence names; the others are counted."""

ABSENT = type("Absent", (), {"__repr__": lambda self: "nothing"})()
"""Stands where a value has nothing at a path."""


class Differing(NamedTuple):
    """A dotted path, and what stands there in one value and in the other."""

    path: str
    one: Any
    other: Any

    @property
    def text(self) -> str:
        """In a few words.

        >>> Differing("recipe.epochs", 3, ABSENT).text
        'recipe.epochs: 3 and nothing'
        """
        return f"{self.path}: {said(self.one)} and {said(self.other)}"


def flat(value: Any, at: str = "") -> dict[str, Any]:
    """The leaves of ``value`` by path; a list of plain values is a leaf.

    >>> flat({"a": {"b": [1, 2]}, "c": [{"d": 3}]})
    {'a.b': [1, 2], 'c.0.d': 3}
    """
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        return {at: value}
    leaves: dict[str, Any] = {}
    for name, item in value.items():
        leaves |= flat(item, f"{at}.{name}" if at else str(name))
    return leaves


def differing(one: Any, other: Any) -> Iterator[Differing]:
    """Every leaf that differs, in the order of ``one``; NaN equals NaN.

    >>> [leaf.text for leaf in differing({"a": 1, "b": 2}, {"a": 1, "b": 3})]
    ['b: 2 and 3']
    """
    first, second = flat(one), flat(other)
    for path in dict.fromkeys((*first, *second)):
        left, right = first.get(path, ABSENT), second.get(path, ABSENT)
        if repr(left) != repr(right):  # 1 and 1.0 differ, two NaN do not
            yield Differing(path, left, right)


def said(value: Any) -> str:
    """A leaf as text.

    >>> said([0, 1]), said(None), said("x"), said(ABSENT)
    ('[0, 1]', 'none', 'x', 'nothing')
    """
    if value is None:
        return "none"
    return value if isinstance(value, str) else repr(value)


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
        mixed = [
            f"{path}: " + ", ".join(f"{value} ({', '.join(own)})" for value, own in values.items())
            for path, values in paths.items()
            if len(values) > 1
        ]
        more = f"; and {len(mixed) - SHOWN} more" if len(mixed) > SHOWN else ""
        if mixed:
            shown = "; ".join(mixed[:SHOWN])
            lines.append(f"the students of {task} were not made alike: {shown}{more}.")
    return lines
