"""The base of all that is kept as JSON."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Plain values that never change; an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KeyedRecord(Frozen):
    """What a store keeps under its key."""

    key: str
