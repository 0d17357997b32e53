"""The command that makes a row of a table again: the run's own, held to what the row is of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.report.build import Part, Report
from bench.report.command_line import restricted, words
from bench.report.frame import Row
from bench.report.section import View

RUN = ["bench", "run"]

Named = tuple[str, str]
"""A command, and in words what it makes."""


@dataclass(frozen=True)
class Source:
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
    """Finds the command of each line of a report's tables."""

    def __init__(self, report: Report) -> None:
        run = report.about.get("run") or {}
        sources = [
            Source(one["command"], one.get("config") or {})
            for one in (run.get("merged") or [run])
            if isinstance(one.get("command"), str)
        ]
        self._sources = [source for source in sources if words(source.command)[:2] == RUN]
        self._methods = set(report.methods)
        self._backends = report.backends

    def line(self, part: Part, view: View, row: Row) -> Named | None:
        """The command that makes a line again, None if nothing more exact is known of it.

        A line with cells of several runs has a command for each of them, joined by ``&&``.
        """
        section = part.section
        if section.command is not None:
            command = section.command(row)
            return restricted(command.line, command.only), command.what
        titles = {label.title for label in view.labels}
        if section.about and "key" not in titles:
            return None
        methods = [*section.methods(row)] if "method" in titles else []
        task = getattr(row, "task", None) if "task" in titles else None
        if not set(methods) <= self._methods or not (methods or task):
            return None
        seed = getattr(row, "seed", None) if "seed" in {c.title for c in view.columns} else None
        only = {
            "--methods": methods,
            "--tasks": [task] if task else [],
            "--seeds": [] if seed is None else [str(seed)],
        }
        backend = self._backends.get(self._index(row, titles))
        commands: dict[str, None] = {}
        spec: list[str] = []
        for source in self._sources:
            if all(source.has(flag[2:], values) for flag, values in only.items()):
                spec = [backend] if backend in source.specs else []
                commands.setdefault(restricted(source.command, only | {"--ann": spec}))
        told = [", ".join(values) for values in (*only.values(), spec) if values]
        return (" && ".join(commands), " · ".join(told)) if commands else None

    def _index(self, row: Row, titles: set[str]) -> str:
        name = next((name for name in ("index", "retrieval") if name in titles), None)
        return getattr(row, name, None) or "" if name else ""
