"""Tasks: what is learnt, where its rows come from and how answers are scored; no heavy import."""

from __future__ import annotations

from pathlib import Path

from reaugkd.errors import UnknownNameError
from reaugkd.tasks import glue, mini
from reaugkd.tasks.task import Task, TaskData

__all__ = ["TASKS", "Task", "TaskData", "get_task", "load", "task_names"]

TASKS: dict[str, Task] = {**mini.TASKS, **glue.TASKS}


def get_task(name: str) -> Task:
    """The task called ``name``; case, ``-`` and ``_`` do not matter.

    >>> get_task("SST-2").name
    'sst2'
    """
    plain = name.lower().replace("-", "").replace("_", "").strip()
    if plain not in TASKS:
        raise UnknownNameError("task", name, TASKS)
    return TASKS[plain]


def task_names(suite: str | None = None) -> list[str]:
    """Names of all tasks, or of those of one suite, in the order they are reported."""
    suites = {task.suite for task in TASKS.values()}
    if suite is not None and suite not in suites:
        raise UnknownNameError("suite", suite, suites)
    return [name for name, task in TASKS.items() if suite in (None, task.suite)]


def load(
    task: Task | str,
    *,
    data_dir: str | Path | None = None,
    hub: str = glue.HUB,
    revision: str | None = None,
    limit: int | None = None,
    split_seed: int = 0,
) -> TaskData:
    """The rows of ``task``, with ``train`` divided into ``fit`` and ``held_out``.

    Args:
        task: a task or its name.
        data_dir: folder in the layout of the official GLUE download; without it, the hub. The
            embedded suite needs neither.
        hub: data set on the hub, or a local folder in the hub's layout.
        revision: branch, tag or commit on the hub.
        limit: keep so many rows of ``train``, drawn by ``split_seed`` before the division.
        split_seed: seed of the division.

    A DataError tells of missing or malformed data, a UserError of a hub that cannot be reached.
    """
    from reaugkd.tasks import glue_folder, glue_hub
    from reaugkd.tasks.corpus import assemble

    spec = get_task(task) if isinstance(task, str) else task
    if spec.suite == "mini":
        rows = mini.corpus(spec)
    elif data_dir is not None:
        rows = glue_folder.from_folder(spec, data_dir)
    else:
        rows = glue_hub.from_hub(spec, hub, revision)
    return assemble(rows, limit=limit, split_seed=split_seed)
