"""GLUE from the Hugging Face hub, or from a local folder in the hub's layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from reaugkd.errors import DataError, UserError
from reaugkd.tasks.corpus import Corpus, table
from reaugkd.tasks.glue import COLUMNS, HUB
from reaugkd.tasks.task import Task

if TYPE_CHECKING:
    from datasets import Dataset


def from_hub(task: Task, repo: str = HUB, revision: str | None = None) -> Corpus:
    """Read ``train`` and the validation splits of ``task``: the same rows as from the folder.

    ``repo`` is a data set on the hub or a local folder in its layout. ``idx`` is the row number
    within the split; the hub's own ``idx`` column has gaps (MRPC, QQP). A DataError tells of
    columns or labels that are not those of the task.
    """
    names = {name: name.replace("dev", "validation") for name in ("train", *task.tests)}
    loaded = splits(task.name, [*names.values()], repo, revision, title=task.title)
    tables = {
        name: _table(task, split, where=f"{repo} ({task.name}, {names[name]})")
        for name, split in zip(names, loaded, strict=True)
    }
    train = tables.pop("train")
    source = f"hub:{repo}" + (f"@{revision}" if revision else "")
    return Corpus(task, train, tables, source=source)


def splits(
    config: str, names: Sequence[str], repo: str, revision: str | None, *, title: str
) -> list[Dataset]:
    """The splits ``names`` of one configuration of ``repo``; a UserError calls them ``title``."""
    from datasets import load_dataset

    try:
        return list(load_dataset(repo, config, split=[*names], revision=revision))
    except Exception as error:
        # The hub's client raises its own, httpx's, OSError and ValueError for what is one thing
        # to the user: the data set did not come. The cause stays attached.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"cannot load {title} from {repo}: {reason};"
            " with the official GLUE download at hand, use --data-dir"
        ) from error


def _table(task: Task, split: Dataset, where: str) -> pa.Table:
    columns = COLUMNS[task.name].hub
    absent = [name for name in (*columns, "label") if name not in split.column_names]
    if absent:
        raise DataError(f"{where}: expected the column '{absent[0]}'")
    names = getattr(split.features["label"], "names", None)
    if names is not None and tuple(names) != task.labels:
        raise DataError(f"{where}: expected the labels {task.labels}, found {tuple(names)}")
    arrow = split.with_format("arrow")
    labels = arrow["label"][:].to_pylist()
    low, high = task.value_range or (0, task.outputs - 1)
    for row, label in enumerate(labels):
        if label is None or not low <= label <= high:
            raise DataError(
                f"{where}, row {row}: expected a label from {low:g} to {high:g}, found {label}"
            )
    texts = [arrow[name][:].to_pylist() for name in columns]
    return table(task, texts, labels, where)
