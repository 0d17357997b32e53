"""Groups, medians, and sections of one table."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from pandas import DataFrame

from bench.report.section import Column, View

Key = TypeVar("Key")
Value = TypeVar("Value")


def grouped(pairs: Iterable[tuple[Key, Value]]) -> dict[Key, list[Value]]:
    """Key -> its values; both in order of appearance."""
    groups: dict[Key, list[Value]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def median(values: Iterable[float | None]) -> float | None:
    """The median of what was measured; None where nothing was."""
    measured = [value for value in values if value is not None]
    return statistics.median(measured) if measured else None


def labels(*names: str) -> tuple[Column, ...]:
    """Labels that are headed by their fields."""
    return tuple(Column(name, name, label=True) for name in names)


def one_table(
    title: str,
    columns: tuple[Column, ...],
    notes: tuple[str, ...] | Callable[[DataFrame], Iterable[str]] = (),
    by: tuple[str, ...] = (),
) -> Callable[[DataFrame, Any], Iterator[View]]:
    """The views of a section that shows all of its rows in one table, and none without rows."""

    def views(frame: DataFrame, _: Any) -> Iterator[View]:
        if len(frame):
            yield View(title, columns, tuple(notes(frame) if callable(notes) else notes), by=by)

    return views
