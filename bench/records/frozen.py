"""The base of all that is kept as JSON."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError


class Frozen(BaseModel):
    """Plain values that never change; an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KeyedRecord(Frozen):
    """What a store keeps under its key."""

    key: str


def first_of(error: ValidationError) -> str:
    """The first thing that is wrong, in one line."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else str(first["msg"])
