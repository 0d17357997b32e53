"""What a report says of rows that were left out of train."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.records.merged import names


def in_short(run: Mapping[str, Any]) -> list[str]:
    """A sentence per limit of train; of a merged run those of all its runs, with their names.

    Args:
        run: the content of ``run.json``.
    """
    merged: list[dict[str, Any]] = run.get("merged") or []
    if not merged:
        return [f"{limit}." for limit in _limits(run)]
    limited: dict[str, list[str]] = {}
    called = names([Path(one["folder"]) for one in merged])
    for name, one in zip(called, merged, strict=True):
        for limit in _limits(one):
            limited.setdefault(limit, []).append(name)
    return [f"{limit} in {', '.join(runs)}." for limit, runs in limited.items()]


def _limits(run: Mapping[str, Any]) -> Iterator[str]:
    """Of all tasks, then of single ones."""
    config = run.get("config") or {}
    own = {f"{name}: ": task for name, task in (config.get("task") or {}).items()}
    for name, settings in {"": config, **own}.items():
        if limit := ((settings or {}).get("data") or {}).get("limit"):
            yield f"{name}train was limited to {limit:,} rows (--limit)"
