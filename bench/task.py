"""The task that a configuration is resolved for: a registered one, or that of a user's own rows."""

from __future__ import annotations

from bench.config import DataConfig, RunConfig
from reaugkd.tasks import OwnData, Task, get_task, metrics, own
from reaugkd.tasks.delimited import Dialect


def own_data(data: DataConfig) -> OwnData | None:
    """Where a user's own rows lie; None in a run on registered tasks."""
    if data.train is None or data.test is None or data.label is None:
        return None
    return OwnData(
        train=data.train,
        held_out=data.held_out,
        test=data.test,
        text=data.text,
        label=data.label,
        dialect=Dialect(data.delimiter, data.quotes, data.encoding),
    )


def task_of(config: RunConfig) -> Task:
    """The one task of ``config``, with the metrics that are asked for; no file is read."""
    name, data = config.tasks[0], config.data
    if own_data(data) is None:
        task = get_task(name)
    else:
        task = own.task(name, pair=len(data.text) == 2, labels=data.labels)
    return metrics.choose(task, config.metrics) if config.metrics else task
