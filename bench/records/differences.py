"""Where two plain JSON values differ, by the dotted paths of their leaves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


class _Absent:
    """Stands where a value has nothing at a path."""

    def __repr__(self) -> str:
        return "nothing"


ABSENT = _Absent()


@dataclass(frozen=True)
class Differing:
    """One path and what stands there in one and in the other; :data:`ABSENT` where nothing does."""

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
    if isinstance(value, dict):
        items: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        items = enumerate(value)
    else:
        return {at: value}
    leaves: dict[str, Any] = {}
    for name, item in items:
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
