"""Records as typed frames, and the rows of frames as plain objects.

A frame has one row per record and one column per leaf: what is nested gets a dotted name
(``difference.low``). Whole numbers stay whole, what is missing or not finite is missing, a list
stays a list. Strings of a report are made from :class:`Row`, never from the frame's own text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import NoneType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel

if TYPE_CHECKING:
    from pandas import DataFrame, Series

LARGE = 2**63
"""Integers below it fit into a column."""


PLAIN = frozenset((str, int, float, bool, NoneType))
"""Types of values that go into a column as they are; most do, and large frames take their time."""

Plan = dict[str, "int | Plan"]
"""Name -> place of its column, or the names of a part."""


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

    leaves = [_flat(record) for record in records]
    names: dict[str, None] = {}
    for leaf in leaves:
        names.update(dict.fromkeys(leaf))
    # An optional part that some records lack is missing leaf by leaf, not as a column of its own.
    parts = {name.rsplit(".", n)[0] for name in names for n in range(1, 1 + name.count("."))}
    columns = {
        name: _column([row.get(name) for row in leaves]) for name in names if name not in parts
    }
    return pandas.DataFrame(columns, index=range(len(leaves)))


def rows(frame: DataFrame) -> list[Row]:
    """The rows as objects, in order."""
    return [_row(tree) for tree in trees(frame)]


def trees(frame: DataFrame) -> list[dict[str, Any]]:
    """The rows as nested plain values: strict JSON, None where there is nothing."""
    plan: Plan = {}
    for place, name in enumerate(frame):
        *above, last = str(name).split(".")
        part = plan
        for head in above:
            part = part.setdefault(head, {})  # type: ignore[assignment]  # never a leaf, by typed
        part[last] = place
    columns = [frame[name].to_numpy(dtype=object, na_value=None).tolist() for name in frame]
    return [_tree(plan, values) for values in zip(*columns, strict=True)]


def flat(frame: DataFrame) -> list[dict[str, Any]]:
    """The rows as plain values under their dotted names."""
    plain_frame = frame.astype(object).where(frame.notna(), None)
    return [
        {str(name): value for name, value in row.items()} for row in plain_frame.to_dict("records")
    ]


def as_text(frame: DataFrame) -> DataFrame:
    """The frame with every list as JSON text, for formats that have no lists."""
    lists = [name for name in frame if frame[name].dtype == object]
    return frame.assign(**{str(name): frame[name].map(_text) for name in lists})


def plain(value: Any) -> Any:
    """``value`` as strict JSON: arrays as lists, records as objects, None for NaN and infinity."""
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if (members := _members(value)) is not None:
        return {name: plain(item) for name, item in members}
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _members(record: Any) -> list[tuple[str, Any]] | None:
    """Names and values of what is nested, None for a leaf."""
    if isinstance(record, BaseModel):
        return [(name, getattr(record, name)) for name in type(record).model_fields]
    if is_dataclass(record):
        return [(field.name, getattr(record, field.name)) for field in fields(record)]
    if isinstance(record, Mapping):
        return [(str(name), value) for name, value in record.items()]
    return None


def _flat(record: Any) -> dict[str, Any]:
    """The leaves of a record under their dotted names."""
    if type(record) is dict and PLAIN.issuperset(map(type, record.values())):
        return record
    return dict(_leaves(record))


def _leaves(record: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in _members(record) or ():
        if type(value) in PLAIN:
            yield prefix + name, value
        elif _members(value) is None:
            yield prefix + name, plain(value)
        else:
            yield from _leaves(value, f"{prefix}{name}.")


def _column(values: Sequence[Any]) -> Series:
    """The values with the type that holds them all without loss."""
    import pandas

    kinds = set(map(type, values)) - {NoneType}
    if float in kinds:
        values = [plain(value) for value in values]
    numbers = [value for value in values if type(value) is int] if int in kinds else []
    if kinds <= {int, float} and all(-LARGE <= number < LARGE for number in numbers):
        dtype = "Int64" if kinds == {int} else "Float64"
    elif len(kinds) == 1:
        dtype = {bool: "boolean", str: "string"}.get(kinds.pop(), "object")
    else:
        dtype = "object"
    return pandas.Series(list(values), dtype=dtype)


def _tree(plan: Plan, values: Sequence[Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, place in plan.items():
        if isinstance(place, int):
            tree[name] = values[place]
        else:
            part = _tree(place, values)
            tree[name] = part if any(value is not None for value in part.values()) else None
    return tree


def _row(tree: Mapping[str, Any]) -> Row:
    return Row(
        **{k: _row(value) if isinstance(value, dict) else value for k, value in tree.items()}
    )


def _text(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
