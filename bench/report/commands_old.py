"""The command that makes a row of a table again: the run's own, held to what the row is of."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.records.measurement import LatencyRecord, MemoryRecord
from bench.report import memory
from bench.report.document import Report
from bench.report.frame import Row, rows
from bench.report.section import View
from bench.report.sectioned import Section
from bench.report.sections import latency
from bench.report.table import Table

FRESH = {
    "--out": True,
    "--overwrite": True,
    "--cells": True,
    "--dry-run": False,
    "--history": True,
    "--json": True,
    "--junit": True,
    "--summary": True,
}
"""Flags that are left out, and whether a value follows. Into the folder of the run itself nothing
would be made again: its cells have their records. Nor are the files of a gate written again."""

RUN = ["bench", "run"]

Named = tuple[str, str]
"""A command, and in words what it makes."""


@dataclass(frozen=True)
class _Source:
    """A run whose cells the report shows; a merged one shows those of several.

    Attributes:
        settings: what ``run.json`` says was asked for.
    """

    command: str
    settings: Mapping[str, Any]

    def has(self, setting: str, values: Iterable[str]) -> bool:
        """Whether all ``values`` were asked for; a run that does not say has every one."""
        asked = self.settings.get(setting)
        return not asked or {str(one) for one in asked}.issuperset(values)

    @property
    def specs(self) -> list[str]:
        """Backends that can be asked for alone."""
        retrieval = self.settings.get("retrieval") or {}
        # Where one axis is varied at a time, the first backend is the reference of all others.
        return [] if retrieval.get("design") == "one-at-a-time" else [*(retrieval.get("ann") or ())]


class Commands:
    """Finds the command of each row of a report."""

    def __init__(self, report: Report) -> None:
        run = report.data.get("run") or {}
        found = [
            _Source(one["command"], one.get("config") or {})
            for one in (run.get("merged") or [run])
            if isinstance(one.get("command"), str)
        ]
        self._sources = [source for source in found if words(source.command)[:2] == RUN]
        cells = _dicts(report.data.get("cells"))
        self._methods = {cell["method"] for cell in cells}
        self._tasks = _tasks(report.data, cells)
        self._measured = _measured(report)

    def row(self, section: Section, table: Table, row: tuple[str, ...]) -> Named | None:
        """The command that makes ``row`` again, None if nothing more exact is known of it.

        A row with cells of several runs has a command for each of them, joined by ``&&``.
        """
        if (found := self._measured.get((table.columns, row))) is not None:
            return found
        if section.about and "key" not in table.columns:
            return None
        cells = dict(zip(table.columns, row, strict=True))
        methods = self._named_methods(cells.get("method", ""))
        task = self._tasks.get(cells.get("task", ""))
        only = {
            "--methods": methods,
            "--tasks": [task] if task else [],
            "--seeds": [cells["seed"]] if cells.get("seed", "").isdigit() else [],
        }
        if not methods and not task:
            return None
        index = cells.get("index", cells.get("retrieval", ""))
        commands: dict[str, None] = {}
        spec = None
        for source in self._sources:
            if all(source.has(flag[2:], values) for flag, values in only.items()):
                spec = _spec(index, source.specs)
                ann = {"--ann": [spec] if spec else []}
                commands.setdefault(restricted(source.command, only | ann))
        told = [", ".join(values) for values in only.values() if values]
        what = " · ".join([*told, *([spec] if spec else [])])
        return (" && ".join(commands), what) if commands else None

    def _named_methods(self, cell: str) -> list[str]:
        names = cell.split(" - ")  # a difference of two methods needs both
        return names if all(name in self._methods for name in names) else []


def _spec(index: str, specs: Iterable[str]) -> str | None:
    """The backend that an index begins with, as the run's settings name it."""
    fitting = [spec for spec in specs if index == spec or index.startswith(f"{spec}, ")]
    return max(fitting, key=len, default=None)


def restricted(command: str, only: Mapping[str, Sequence[str]]) -> str:
    """``command`` with other values for some of its flags, and nothing of :data:`FRESH`.

    Repeated flags add up, so what the command says of a flag is replaced, never followed.

    >>> restricted("bench run --methods all --out DIR --tasks=mrpc", {"--methods": ["kd", "rkd"]})
    'bench run --tasks=mrpc --methods kd,rkd'

    Args:
        command: a command line.
        only: flag -> its values; a flag without values stays as it is.
    """
    dropped = FRESH | {flag: True for flag, values in only.items() if values}
    kept: list[str] = []
    skip = False
    for word in words(command):
        flag, equals, _ = word.partition("=")
        flag = flag.replace("_", "-")
        if skip:
            skip = False
        elif flag in dropped:
            skip = dropped[flag] and not equals
        else:
            kept.append(word)
    for flag, values in only.items():
        if values:
            kept += [flag, ",".join(values)]
    return shlex.join(kept)


def words(command: str) -> list[str]:
    """The words of a command line; one with an odd number of quotes is taken apart at blanks."""
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _tasks(data: Mapping[str, Any], cells: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """What tables call a task (its name, its title, a title with a split) -> its name."""
    found = {cell["task"]: cell["task"] for cell in cells}
    for value in data.values():
        for one in _dicts(value):
            if one.get("task") in found and isinstance(one.get("title"), str):
                found.setdefault(one["title"], one["task"])
    return found


def _measured(report: Report) -> dict[tuple[tuple[str, ...], tuple[str, ...]], Named]:
    """Columns and row of each measured cell -> its command.

    The tables are made again from the records, so that their rows need not be taken apart.
    """
    records = [record for section in report.sections for record in section.records]
    timed = latency.of_records(one for one in records if isinstance(one, LatencyRecord))
    table = View("", latency.COLUMNS).table(timed)
    named = map(_of_latency, rows(timed))
    found = {(table.columns, row): one for row, one in zip(table.rows, named, strict=True)}
    weighed = [one for one in records if isinstance(one, MemoryRecord)]
    table = memory.table(weighed)
    for record in weighed:
        # A row also holds a ratio to another record, so its labels tell whose it is.
        labels = memory.table([record]).rows[0][: table.labels]
        same = [row for row in table.rows if row[: table.labels] == labels]
        found |= {(table.columns, row): _of_memory(record) for row in same}
    return found


def _of_latency(row: Row) -> Named:
    assert latency.SECTION.command is not None
    command = latency.SECTION.command(row)
    return restricted(command.line, command.only), command.what


def _of_memory(record: MemoryRecord) -> Named:
    only = {
        "--bases": _base(record.base, record.provenance.command),
        "--ann": [record.backend],
        "--k": [str(record.k)],
    }
    what = f"{record.base} ({record.size:,}) {record.backend} k {record.k}"
    return restricted(record.provenance.command, only), what


def _base(name: str, command: str) -> list[str]:
    """The base for ``--bases``; none where the command takes it from a run or a classifier."""
    return [] if _has(command, "--run") or _has(command, "--classifier") else [name]


def _has(command: str, flag: str) -> bool:
    return any(word.partition("=")[0] == flag for word in words(command))
