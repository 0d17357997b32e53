"""The command that makes a row of a table again: the run's own, held to what the row is of."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from bench.report.command_line import restricted, words
from bench.report.document import Part, Report
from bench.report.frame import Row
from bench.report.section import View

Named = tuple[str, str]
"""A command, and in words what it makes."""


def decided(run: Mapping[str, Any]) -> str:
    """The command of a run, with the precisions that it left open as they were decided there.

    >>> def recipe(precision):
    ...     return {"student": {"recipe": {"precision": precision}}}
    >>> run = {"command": "bench run", "config": recipe("auto"), "tasks": {"rte": recipe("fp32")}}
    >>> decided(run)
    'bench run --set student.recipe.precision=fp32'
    """
    return " ".join([run["command"], *(f"--set {shlex.quote(said)}" for said in _precisions(run))])


def _precisions(run: Mapping[str, Any]) -> Iterator[str]:
    tasks = run.get("tasks") or {}
    for role in ("teacher", "student"):
        if _precision(run.get("config"), role) != "auto":
            continue
        by_task = {task: _precision(config, role) for task, config in tasks.items()}
        alike, path = len({*by_task.values()}) == 1, f"{role}.recipe.precision"
        for task, precision in list(by_task.items())[: 1 if alike else None]:
            if precision in ("fp32", "bf16"):
                yield f"{path if alike else f'task.{task}.{path}'}={precision}"


def _precision(config: Mapping[str, Any] | None, role: str) -> str | None:
    part = (config or {}).get(role) or {}
    return (part.get("recipe") or {}).get("precision")


class Commands:
    """Finds the command of each line of a report's tables."""

    def __init__(self, report: Report) -> None:
        run = report.about.get("run") or {}
        runs = run.get("merged") or [run]
        self._runs = [
            (decided(described), described.get("config") or {})
            for described in runs
            if isinstance(described.get("command"), str)
            and words(described["command"])[:2] == ["bench", "run"]
        ]
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
        titles = [column.title for column in view.columns if column.label or column.title == "seed"]
        if section.about and "key" not in titles:
            return None
        values = {title: getattr(row, title, None) for title in titles}
        methods = [m for m in section.methods(row) if m] if "method" in titles else []
        task, seed = values.get("task"), values.get("seed")
        if not set(methods) <= self._methods or not (methods or task):
            return None
        only = {
            "methods": methods,
            "tasks": [task] if task else [],
            "seeds": [] if seed is None else [str(seed)],
        }
        backend = self._backends.get(values.get("index") or values.get("retrieval") or "", "")
        commands: dict[str, None] = {}
        spec: list[str] = []
        for command_line, config in self._runs:
            # A run that does not say what was asked for has everything.
            if all(
                {*map(str, config.get(n) or wanted)}.issuperset(wanted)
                for n, wanted in only.items()
            ):
                retrieval = config.get("retrieval") or {}
                # One axis at a time: the first backend is the reference of all others.
                alone = retrieval.get("design") != "one-at-a-time"
                spec = [backend] if alone and backend in (retrieval.get("ann") or ()) else []
                flags = {f"--{name}": wanted for name, wanted in {**only, "ann": spec}.items()}
                commands.setdefault(restricted(command_line, flags))
        what = " · ".join(", ".join(wanted) for wanted in (*only.values(), spec) if wanted)
        return (" && ".join(commands), what) if commands else None
