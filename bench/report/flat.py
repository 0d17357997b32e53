"""Records as rows of plain values, in full precision: for CSV and Parquet.

What is nested becomes a column per leaf (``value.mean``). A list is a list in Parquet and JSON in
CSV; what is not finite is missing.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel

if TYPE_CHECKING:
    import pyarrow

Row = dict[str, Any]

LARGE = 2**63
"""Integers below it fit into a column of Parquet."""


def rows(records: Iterable[Any]) -> list[Row]:
    """One row per record, all with the same columns in the order in which they first appear.

    Args:
        records: dataclasses, pydantic models or mappings.
    """
    found = [dict(_leaves(record)) for record in records]
    names = list(dict.fromkeys(name for row in found for name in row))
    # An optional part that some records lack is missing leaf by leaf, not as a column of its own.
    parts = {
        name.rsplit(".", depth)[0] for name in names for depth in range(1, 1 + name.count("."))
    }
    names = [name for name in names if name not in parts]
    return [{name: row.get(name) for name in names} for row in found]


def as_csv(records: Sequence[Any]) -> str:
    """CSV with a header; nothing for what is missing. No records give no text."""
    found = rows(records)
    if not found:
        return ""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(found[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _text(value) for name, value in row.items()} for row in found)
    return text.getvalue()


def as_parquet(records: Sequence[Any]) -> bytes:
    """Parquet; a column of mixed types is JSON text, one without values has its field's type."""
    import pyarrow
    from pyarrow import parquet

    found = rows(records)
    declared = _declared(records[0]) if records else {}
    columns = {
        name: _array([row[name] for row in found], declared.get(name))
        for name in (found[0] if found else ())
    }
    file = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), file)
    return file.getvalue()


def plain(value: Any) -> Any:
    """``value`` as strict JSON: arrays as lists, records as objects, None for NaN and infinity."""
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if (members := _members(value)) is not None:
        return {name: plain(item) for name, item in members}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
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


def _leaves(record: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in _members(record) or ():
        if _members(value) is None:
            yield prefix + name, plain(value)
        else:
            yield from _leaves(value, f"{prefix}{name}.")


def _text(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


def _array(values: list[Any], declared: pyarrow.DataType | None) -> pyarrow.Array:
    import pyarrow

    if all(value is None for value in values):
        return pyarrow.array(values, declared or pyarrow.float64())
    found = _type(values)
    if found is None:
        values = [None if value is None else json.dumps(value) for value in values]
        found = pyarrow.string()
    return pyarrow.array(values, found)


def _type(values: Iterable[Any]) -> pyarrow.DataType | None:
    """The type that holds all values without loss, None if there is none."""
    import pyarrow

    known = [value for value in values if value is not None]
    kinds = {type(value) for value in known}
    if kinds == {list}:
        inner = _type(item for value in known for item in value)
        return None if inner is None else pyarrow.list_(inner)
    if kinds <= {int, float}:
        if any(isinstance(value, int) and not -LARGE <= value < LARGE for value in known):
            return None
        return pyarrow.int64() if kinds == {int} else pyarrow.float64()
    simple = {bool: pyarrow.bool_(), str: pyarrow.string()}
    return simple.get(kinds.pop()) if len(kinds) == 1 else None


def _declared(record: Any) -> dict[str, pyarrow.DataType]:
    """Types of the simple fields of a record, as its class declares them."""
    import pyarrow

    if isinstance(record, BaseModel):
        models = type(record).model_fields
        hints = {name: _hint(info.annotation) for name, info in models.items()}
    elif is_dataclass(record):
        hints = {field.name: str(field.type) for field in fields(record)}
    else:
        hints = {}
    simple = {
        "str": pyarrow.string(),
        "int": pyarrow.int64(),
        "float": pyarrow.float64(),
        "bool": pyarrow.bool_(),
    }
    bare = {name: hint.removesuffix(" | None") for name, hint in hints.items()}
    return {name: simple[hint] for name, hint in bare.items() if hint in simple}


def _hint(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
