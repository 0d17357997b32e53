"""The plan of a merged run: where its cells come from, what the runs share, where they differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.records.base import USUAL
from bench.records.differences import ABSENT, flat, said

AXES = ("tasks", "methods", "seeds", "ann", "keys", "values", "share", "control", *USUAL)
AXES_OF_SWEEP = ("k", "beta", "tau")
"""Settings that are lists of what to run: the union of two of them is what both ran."""

ONE_AT_A_TIME = "one-at-a-time"

Origin = dict[str, Any]


def origins(runs: Iterable[tuple[Path, Mapping[str, Any]]]) -> list[Origin]:
    """Where the cells of ``runs`` come from: a run that was merged itself names its own runs.

    Args:
        runs: folder and content of ``run.json``; of a folder that comes again the last counts.
    """
    by_folder: dict[str, Origin] = {}
    for folder, run in runs:
        request = {name: run.get(name) for name in ("command", "preset", "config", "tasks")}
        for origin in run.get("merged") or [{"folder": str(folder.resolve()), **request}]:
            by_folder[origin["folder"]] = origin
    return list(by_folder.values())


def differences(runs: Sequence[Origin]) -> list[str]:
    """Every setting of the runs that is not the same in all of them, a line each."""
    folders = names([Path(run["folder"]) for run in runs])
    settings = [flat({"preset": run["preset"], **(run["config"] or {})}) for run in runs]
    lines = []
    for path in dict.fromkeys(path for tree in settings for path in tree):
        values = [said(tree.get(path, ABSENT)) for tree in settings]
        if len({*values}) > 1:
            pairs = zip(values, folders, strict=True)
            lines.append(f"{path}: " + ", ".join(f"{value} in {run}" for value, run in pairs))
    return lines


def united(runs: Sequence[Origin]) -> dict[str, Any]:
    """``preset``, ``config`` and ``tasks`` of the merged run.

    What was asked for (tasks, methods, seeds, backends, k, ...) is united; of any other setting
    that differs the first run's value stands, and :func:`differences` names it. If one run varies
    its knowledge base one axis at a time, so does their union.
    """
    presets = dict.fromkeys(str(run["preset"]) for run in runs)
    config: Any = {}
    tasks: Any = {}
    for run in runs:
        config, tasks = _with(config, run["config"] or {}), _with(tasks, run["tasks"] or {})
    return {"preset": " + ".join(presets), "config": config, "tasks": tasks}


def _with(first: Any, other: Any, name: str = "") -> Any:
    if name == "design" and ONE_AT_A_TIME in (first, other):
        return ONE_AT_A_TIME  # tables of scores then show the knowledge base that all runs have
    if isinstance(first, dict) and isinstance(other, dict):
        if name == "retrieval":  # an axis that is as usual is not written
            axes = {axis: [usual] for axis, usual in USUAL.items() if axis in {**first, **other}}
            first, other = axes | first, axes | other
        more = {key: value for key, value in other.items() if key not in first}
        return {key: _with(first[key], other.get(key, first[key]), key) for key in first} | more
    if isinstance(first, list) and isinstance(other, list) and name in AXES + AXES_OF_SWEEP:
        return [*first, *(item for item in other if item not in first)]
    return first


def names(folders: Sequence[Path]) -> tuple[str, ...]:
    """The shortest ends of the paths that tell the folders apart.

    >>> names([Path("/x/a/run"), Path("/x/b/run"), Path("/x/b/other")])
    ('a/run', 'b/run', 'b/other')
    """
    parts = [folder.resolve().parts for folder in folders]
    for length in range(1, max(map(len, parts), default=0) + 1):
        short = tuple("/".join(path[-length:]) for path in parts)
        if len(set(short)) == len(set(parts)):
            return short
    return tuple(map(str, folders))


def in_short(run: Mapping[str, Any]) -> list[str]:
    """What a report says of a run that was merged, a sentence each; nothing of any other."""
    runs: list[Origin] = run.get("merged") or []
    if not runs:
        return []
    folders = ", ".join(names([Path(origin["folder"]) for origin in runs]))
    lines = [f"Merged from {len(runs)} runs: {folders}."]
    if differing := differences(runs):
        lines.append(f"Settings differ between them: {'; '.join(differing)}.")
    if conflicts := run.get("conflicts"):
        taken = dict.fromkeys(f"{c['cell']} is that of {c['taken']}" for c in conflicts)
        count = f"{len(taken)} cell{'s' * (len(taken) > 1)}"
        lines.append(f"Warning: the runs contradicted each other on {count}: {'; '.join(taken)}.")
    return lines + [f"Warning: {line}" for line in run.get("unlike") or ()]
