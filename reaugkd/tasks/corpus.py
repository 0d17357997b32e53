"""The rows of a task before they are divided, and the way from there to :class:`TaskData`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import pyarrow as pa

from reaugkd.artifacts import fingerprint
from reaugkd.errors import DataError
from reaugkd.tasks.division import divide, subset
from reaugkd.tasks.task import Task, TaskData


@dataclass(frozen=True)
class Corpus:
    """The rows of one task as its source gives them, with columns as in ``TaskData``.

    ``source`` is for records, e.g. ``"folder"``; ``notes`` say what a reader of the results should
    know about the rows, e.g. skipped ones.
    """

    task: Task
    train: pa.Table
    tests: dict[str, pa.Table]
    source: str
    notes: tuple[str, ...] = ()


def table(
    task: Task, texts: Sequence[Sequence[str]], labels: Sequence[float], where: str
) -> pa.Table:
    """Rows as a table with the columns ``text_a``, (``text_b``,) ``label`` and ``idx``.

    A DataError names ``where``, the file or split, if there is no row.
    """
    if not labels:
        raise DataError(f"{where}: the split is empty, at least one row is needed")
    names = ("text_a", "text_b") if task.pair else ("text_a",)
    columns = {name: pa.array(text, pa.string()) for name, text in zip(names, texts, strict=True)}
    columns["label"] = pa.array(labels, pa.float32() if task.regression else pa.int64())
    columns["idx"] = pa.array(range(len(labels)), pa.int64())
    return pa.table(columns)


def parse_label(task: Task, cell: str) -> float:
    """The class id (for a class name or a written id) or the score that ``cell`` stands for.

    A ValueError says what was expected.
    """
    if not task.regression:
        ids = {str(i): i for i in range(task.outputs)}
        ids |= {label: i for i, label in enumerate(task.labels)}
        if cell not in ids:
            raise ValueError(f"expected a label among {', '.join(ids)}, found {cell!r}")
        return ids[cell]
    low, high = task.value_range or (float("-inf"), float("inf"))
    try:
        value = float(cell)
    except ValueError:
        value = float("nan")
    if not (isfinite(value) and low <= value <= high):
        raise ValueError(f"expected a score from {low:g} to {high:g}, found {cell!r}")
    return value


def assemble(corpus: Corpus, *, limit: int | None = None, split_seed: int = 0) -> TaskData:
    """Divide ``train`` by ``split_seed`` and fingerprint every row.

    With a ``limit`` so many rows of ``train`` are drawn before and left in their order; the test
    splits stay whole.
    """
    from datasets import Dataset

    task, train = corpus.task, corpus.train
    if limit is not None:
        train = train.take(pa.array(subset(train.num_rows, limit, split_seed)))
    parts = divide(train["label"].to_numpy(), task, split_seed)
    fit, held_out = (train.take(pa.array(part)) for part in parts)
    content = {
        # Per column; numbers by their exact written form.
        split: {
            name: fingerprint.of_texts(map(str, rows[name].to_pylist()))
            for name in rows.column_names
        }
        for split, rows in {"fit": fit, "held_out": held_out, **corpus.tests}.items()
    }
    return TaskData(
        task=task,
        fit=Dataset(fit),
        held_out=Dataset(held_out),
        tests={name: Dataset(rows) for name, rows in corpus.tests.items()},
        fingerprint=fingerprint.of_json([task.name, task.labels, content]),
        source=corpus.source,
        notes=corpus.notes,
        train_rows=corpus.train.num_rows,
    )
