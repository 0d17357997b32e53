"""The task that a configuration is resolved for: a registered one, or that of a user's own rows."""

from __future__ import annotations

from bench.config import DataConfig, RunConfig
from reaugkd.tasks import OwnData, Task, get_task, metrics, own
from reaugkd.tasks.carving import carves, with_carved_test
from reaugkd.tasks.delimited import Dialect


def own_data(data: DataConfig) -> OwnData | None:
    """Where a user's own rows lie; None in a run on registered tasks."""
    if data.train is None or data.label is None:
        return None
    return OwnData(
        train=data.train,
        held_out=data.held_out,
        test=data.dev if carves(data.test) else data.test,
        text=data.text,
        label=data.label,
        dialect=Dialect(data.delimiter, data.quotes, data.encoding),
    )


def task_of(config: RunConfig) -> Task:
    """The one task of ``config`` as it is scored: with a carved test split, if there is to be one.

    No file is read.
    """
    task = source_task(config)
    return with_carved_test(task) if carves(config.data.test) else task


def source_task(config: RunConfig) -> Task:
    """The same task as its source has it, with the metrics that are asked for."""
    name, rows = config.tasks[0], own_data(config.data)
    if rows is None:
        task = get_task(name)
    else:
        tests = own.TESTS if rows.test is not None else ()
        labels = config.data.labels
        task = own.task(name, pair=len(rows.text) == 2, labels=labels, tests=tests)
    return metrics.choose(task, config.metrics) if config.metrics else task
