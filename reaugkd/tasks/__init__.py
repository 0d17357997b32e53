"""Tasks: what is learnt, where its rows come from and how answers are scored; no heavy import."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from reaugkd.errors import UnknownNameError, UserError
from reaugkd.registry import Registry
from reaugkd.tasks import carving, glue, mini
from reaugkd.tasks.own import OwnData
from reaugkd.tasks.task import Task, TaskData, TaskPlugin

__all__ = [
    "TASKS",
    "OwnData",
    "Task",
    "TaskData",
    "TaskPlugin",
    "get_task",
    "load",
    "spelled",
    "task_names",
]

PLUGINS = Registry[TaskPlugin]("task", {}, group="reaugkd.tasks")
"""Tasks of other packages."""


class TaskRegistry(Mapping[str, Task]):
    """Name -> task: those of this project, then those of other packages, imported when used."""

    def __init__(self, built_in: Mapping[str, Task]) -> None:
        self._built_in = built_in

    def __getitem__(self, name: str) -> Task:
        return self._built_in[name] if name in self._built_in else plugin(name).task

    def __contains__(self, name: object) -> bool:
        return name in self._built_in or name in PLUGINS

    def __iter__(self) -> Iterator[str]:
        yield from self._built_in
        yield from (name for name in PLUGINS if name not in self._built_in)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def package(self, name: str) -> str | None:
        """Where a task of another package comes from, None for one of this project."""
        return None if name in self._built_in else PLUGINS.entry(name).summary


TASKS = TaskRegistry({**mini.TASKS, **glue.TASKS})


def plugin(name: str) -> TaskPlugin:
    """The task called ``name`` of another package.

    A UserError names the package if it cannot be imported or is no task of that name.
    """
    try:
        loaded = cast(object, PLUGINS[name])
    except UserError:
        raise
    except Exception as error:  # of whatever kind: it is another package's code that runs here
        package = PLUGINS.entry(name).summary
        raise UserError(f"task '{name}' {package} cannot be loaded: {error!r}") from error
    if not isinstance(loaded, TaskPlugin) or loaded.task.name != name:
        package = PLUGINS.entry(name).summary
        raise UserError(f"task '{name}' {package} is no TaskPlugin with a task of that name")
    return loaded


def spelled(name: str, known: Iterable[str]) -> str:
    """``name`` as it is spelled in ``known``; case, ``-`` and ``_`` do not matter.

    >>> spelled("SST-2", ["mrpc", "sst2"])
    'sst2'
    """
    names = list(known)
    for one in names:
        if _plain(one) == _plain(name):
            return one
    raise UnknownNameError("task", name, names)


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "").strip()


def get_task(name: str) -> Task:
    """The task called ``name``; case, ``-`` and ``_`` do not matter.

    >>> get_task("SST-2").name
    'sst2'
    """
    return TASKS[spelled(name, TASKS)]


def task_names(suite: str | None = None) -> list[str]:
    """Names of all tasks, or of those of one suite, in the order they are reported."""
    if suite is None:
        return list(TASKS)
    suites = {task.suite for task in TASKS.values()}
    if suite not in suites:
        raise UnknownNameError("suite", suite, suites)
    return [name for name, task in TASKS.items() if task.suite == suite]


def load(
    task: Task | str,
    *,
    data_dir: str | Path | None = None,
    hub: str = glue.HUB,
    revision: str | None = None,
    own: OwnData | None = None,
    test: str | None = None,
    limit: int | None = None,
    split_seed: int = 0,
) -> TaskData:
    """The rows of ``task``, with ``train`` divided into ``fit`` and ``held_out``.

    Args:
        task: a task or its name.
        data_dir: folder in the layout of the official GLUE download; without it, the hub. Only
            tasks of GLUE are read from either.
        hub: data set on the hub, or a local folder in the hub's layout.
        revision: branch, tag or commit on the hub.
        own: where the rows of a user's own task lie.
        test: ``"train:4000"`` or ``"train:20%"``: a test split carved out of ``train``, the same
            whatever the other arguments are; those that the task comes with stand after it.
        limit: keep so many rows of (what is left of) ``train``, drawn by ``split_seed`` before the
            division.
        split_seed: seed of the division.

    A DataError tells of missing or malformed data, a UserError of a hub that cannot be reached, a
    ValueError of a ``test`` that is written otherwise.
    """
    from reaugkd.tasks import glue_folder, glue_hub
    from reaugkd.tasks import own as own_rows
    from reaugkd.tasks.corpus import assemble

    spec = get_task(task) if isinstance(task, str) else task
    if own is not None:
        rows = own_rows.corpus(own, spec)
    elif spec.suite == "mini":
        rows = mini.corpus(spec)
    elif spec.name not in glue.TASKS:
        rows = replace(plugin(spec.name).corpus(), task=spec)
    elif data_dir is not None:
        rows = glue_folder.from_folder(spec, data_dir)
    else:
        rows = glue_hub.from_hub(spec, hub, revision)
    carved = None if test is None else carving.CarvedTest.parse(test)
    return assemble(rows, test=carved, limit=limit, split_seed=split_seed)
