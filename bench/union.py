"""The plans of several runs as one: where they come from, what they share, where they differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.records.differences import ABSENT, flat, said

AXES = ("tasks", "methods", "seeds", "ann", "keys", "values", "share", "control")
AXES_OF_SWEEP = ("k", "beta", "tau")
"""Settings that are lists of what to run: the union of two of them is what both ran."""

ONE_AT_A_TIME = "one-at-a-time"

Origin = dict[str, Any]


@dataclass(frozen=True)
class Difference:
    """A setting that is not the same in all runs.

    Attributes:
        setting: its dotted name.
        values: one per run, as text, in the order of the runs.
        runs: their names.
    """

    setting: str
    values: tuple[str, ...]
    runs: tuple[str, ...]

    @property
    def text(self) -> str:
        """In one line.

        >>> Difference("seeds", ("[0]", "[1]"), ("a", "b")).text
        'seeds: [0] in a, [1] in b'
        """
        pairs = zip(self.values, self.runs, strict=True)
        return f"{self.setting}: " + ", ".join(f"{value} in {run}" for value, run in pairs)


def origins(runs: Iterable[tuple[Path, Mapping[str, Any]]]) -> list[Origin]:
    """Where the cells of ``runs`` come from: a run that was merged itself names its own runs.

    Args:
        runs: folder and content of ``run.json``; of a folder that comes again the last counts.
    """
    found: dict[str, Origin] = {}
    for folder, run in runs:
        own = {name: run.get(name) for name in ("command", "preset", "config", "tasks")}
        for one in run.get("merged") or [{"folder": str(folder.resolve()), **own}]:
            found[one["folder"]] = one
    return list(found.values())


def differences(found: Sequence[Origin]) -> list[Difference]:
    """Every setting of the runs that is not the same in all of them."""
    runs = names([Path(one["folder"]) for one in found])
    settings = [flat({"preset": one["preset"], **(one["config"] or {})}) for one in found]
    paths = dict.fromkeys(path for each in settings for path in each)
    by_path = {path: tuple(said(each.get(path, ABSENT)) for each in settings) for path in paths}
    return [
        Difference(path, values, runs) for path, values in by_path.items() if len(set(values)) > 1
    ]


def united(found: Sequence[Origin]) -> dict[str, Any]:
    """``preset``, ``config`` and ``tasks`` of the merged run.

    What was asked for (tasks, methods, seeds, backends, k, ...) is united; of any other setting
    that differs the first run's value stands, and :func:`differences` names it. If one run varies
    its knowledge base one axis at a time, so does their union.
    """
    presets = dict.fromkeys(str(one["preset"]) for one in found)
    config: Any = {}
    tasks: Any = {}
    for one in found:
        config, tasks = _with(config, one["config"] or {}), _with(tasks, one["tasks"] or {})
    return {"preset": " + ".join(presets), "config": config, "tasks": tasks}


def _with(one: Any, other: Any, name: str = "") -> Any:
    if name == "design" and ONE_AT_A_TIME in (one, other):
        return ONE_AT_A_TIME  # tables of scores then show the knowledge base that all runs have
    if isinstance(one, dict) and isinstance(other, dict):
        more = {key: value for key, value in other.items() if key not in one}
        return {key: _with(one[key], other.get(key, one[key]), key) for key in one} | more
    if isinstance(one, list) and isinstance(other, list) and name in AXES + AXES_OF_SWEEP:
        return [*one, *(item for item in other if item not in one)]
    return one


def names(folders: Sequence[Path]) -> tuple[str, ...]:
    """The shortest ends of the paths that tell the folders apart.

    >>> names([Path("/x/a/run"), Path("/x/b/run"), Path("/x/b/other")])
    ('a/run', 'b/run', 'b/other')
    >>> names([Path("/x/one"), Path("/x/two")])
    ('one', 'two')
    """
    parts = [folder.resolve().parts for folder in folders]
    for length in range(1, max(map(len, parts), default=0) + 1):
        short = tuple("/".join(each[-length:]) for each in parts)
        if len(set(short)) == len(set(parts)):
            return short
    return tuple(map(str, folders))


def in_short(run: Mapping[str, Any]) -> list[str]:
    """What a report says of a run that was merged, a sentence each; nothing of any other."""
    found: list[Origin] = run.get("merged") or []
    if not found:
        return []
    runs = ", ".join(names([Path(one["folder"]) for one in found]))
    lines = [f"Merged from {len(found)} runs: {runs}."]
    if differing := differences(found):
        lines.append(f"Settings differ between them: {'; '.join(one.text for one in differing)}.")
    if conflicts := run.get("conflicts"):
        taken = dict.fromkeys(f"{one['cell']} is that of {one['taken']}" for one in conflicts)
        count = f"{len(taken)} cell{'s' * (len(taken) > 1)}"
        whose = "; ".join(taken)
        lines.append(f"Warning: the runs contradicted each other on {count}: {whose}.")
    return lines + [f"Warning: {line}" for line in run.get("unlike") or ()]
