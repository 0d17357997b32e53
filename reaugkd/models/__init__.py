"""Teacher and student: encoders, where they come from, how one learns, what makes them fast."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_EXPORTS = {"Encoder": "reaugkd.models.encoder", "load_pretrained": "reaugkd.models.encoder"}

__all__ = ["Encoder", "load_pretrained"]


def __getattr__(name: str) -> Any:
    # Imported on first use: `reaugkd.models.spec` alone must not load torch.
    if name in _EXPORTS:
        return getattr(import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
