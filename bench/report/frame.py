"""Records as typed frames, and the rows of frames as plain objects.

A frame has one row per record and one column per leaf: what is nested gets a dotted name
(``difference.low``). Whole numbers stay whole, what is missing or not finite is missing, a list
stays a list. Strings of a report are made from :class:`Row`, never from the frame's own text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import NoneType, SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from pydantic_core import to_jsonable_python

if TYPE_CHECKING:
    from pandas import DataFrame, Series

T = TypeVar("T")

LARGE = 2**63
"""Integers below it fit into a column."""

PLAIN = frozenset((str, int, float, bool, NoneType))
"""Types of values that go into a column as they are; most do, and large frames take their time."""


class Row(SimpleNamespace):
    """One row of a frame: ``row.method``, ``row.difference.low``; what is missing is None.

    A part all of whose leaves are missing is None itself, so that a row reads like the record
    that it was made of: what takes a :class:`bench.stats.difference.Difference` takes
    ``row.difference``.
    """

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...


def typed(records: Iterable[Any]) -> DataFrame:
    """A frame of dataclasses, pydantic models or mappings; columns in order of appearance."""
    import pandas

    leaves = [
        record
        if type(record) is dict and PLAIN.issuperset(map(type, record.values()))
        else dict(_leaves(plain(record)))
        for record in records
    ]
    names = dict.fromkeys(name for leaf in leaves for name in leaf)
    # An optional part that some records lack is missing leaf by leaf, not as a column of its own.
    parts = {name.rsplit(".", n)[0] for name in names for n in range(1, 1 + name.count("."))}
    columns = {
        name: _column([leaf.get(name) for leaf in leaves]) for name in names if name not in parts
    }
    return pandas.DataFrame(columns, index=range(len(leaves)))


def rows(frame: DataFrame) -> list[Row]:
    """The rows as objects, in order."""
    return _nested(frame, lambda leaves: Row(**leaves))


def trees(frame: DataFrame) -> list[dict[str, Any]]:
    """The rows as nested plain values: strict JSON, None where there is nothing."""
    return _nested(frame, dict)


def _nested(frame: DataFrame, make: Callable[[dict[str, Any]], T]) -> list[T]:
    plan: dict[str, Any] = {}  # name -> place of its column, or the plan of a part
    for place, name in enumerate(frame):
        *above, last = str(name).split(".")
        part = plan
        for head in above:
            part = part.setdefault(head, {})
        part[last] = place

    def leaves(plan: Mapping[str, Any], values: Sequence[Any]) -> dict[str, Any]:
        return {
            name: values[at] if type(at) is int else part_of(leaves(at, values))
            for name, at in plan.items()
        }

    def part_of(tree: dict[str, Any]) -> T | None:
        return make(tree) if any(value is not None for value in tree.values()) else None

    columns = [frame[name].to_numpy(dtype=object, na_value=None).tolist() for name in frame]
    return [make(leaves(plan, values)) for values in zip(*columns, strict=True)]


def flat(frame: DataFrame) -> list[dict[str, Any]]:
    """The rows as plain values under their dotted names."""
    values = frame.astype(object).where(frame.notna(), None)
    return cast("list[dict[str, Any]]", values.to_dict("records"))


def plain(value: Any) -> Any:
    """``value`` as strict JSON: arrays as lists, records as objects, None for NaN and infinity."""
    return to_jsonable_python(value, inf_nan_mode="null", fallback=_fallback)


def _fallback(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _column(values: Sequence[Any]) -> Series:
    """The values with the type that holds them all without loss."""
    import pandas

    kinds = set(map(type, values)) - {NoneType}
    if float in kinds:
        values = [None if type(v) is float and not math.isfinite(v) else v for v in values]
    dtype = "object"
    if kinds <= {int, float}:
        if all(type(value) is not int or -LARGE <= value < LARGE for value in values):
            dtype = "Int64" if kinds == {int} else "Float64"
    elif len(kinds) == 1:
        dtype = {bool: "boolean", str: "string"}.get(kinds.pop(), "object")
    return pandas.Series(list(values), dtype=dtype)
