"""The rows of a task before they are divided, and the way from there to :class:`TaskData`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np
import pyarrow as pa

from reaugkd.artifacts import fingerprint
from reaugkd.errors import DataError
from reaugkd.tasks import carving
from reaugkd.tasks.carving import CarvedTest
from reaugkd.tasks.division import divide, subset
from reaugkd.tasks.task import Task, TaskData

SHOWN = 5  # names of rare classes


@dataclass(frozen=True)
class Corpus:
    """The rows of one task as its source gives them, with columns as in ``TaskData``.

    ``source`` is for records, e.g. ``"folder"``; ``notes`` say what a reader of the results should
    know about the rows, e.g. skipped ones. Rows to hold out are drawn from ``train`` unless
    ``held_out`` has them; ``rare``: whether a class may have too few rows to be in both parts.
    """

    task: Task
    train: pa.Table
    tests: dict[str, pa.Table]
    source: str
    notes: tuple[str, ...] = ()
    held_out: pa.Table | None = None
    rare: bool = False


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


def assemble(
    corpus: Corpus,
    *,
    test: CarvedTest | None = None,
    limit: int | None = None,
    split_seed: int = 0,
) -> TaskData:
    """Divide ``train`` by ``split_seed`` and fingerprint every row.

    First of all a ``test`` split is carved out of ``train``. With a ``limit`` so many rows of what
    is left are drawn before the division and stay in their order; the other splits stay whole. A
    DataError tells of rows that are not those of the task.
    """
    from datasets import Dataset

    task, train = corpus.task, corpus.train
    if tuple(corpus.tests) != task.tests:
        raise DataError(f"{task.title}: test splits {[*corpus.tests]}, expected {[*task.tests]}")
    train_rows, left_out, what = train.num_rows, 0, "train"
    if test is not None:
        corpus, what = _carved(corpus, test), f"train without {test}"
        task, train = corpus.task, corpus.train
        left_out = train_rows - train.num_rows - corpus.tests[carving.TEST].num_rows
    if limit is not None:
        train = train.take(pa.array(subset(train.num_rows, limit, split_seed)))
    if corpus.held_out is None:
        labels = train["label"].to_numpy()
        parts = divide(labels, task, split_seed, rare=corpus.rare, what=what)
        fit, held_out = (train.take(pa.array(part)) for part in parts)
    else:
        fit, held_out = train, corpus.held_out
    content = {
        # Per column; numbers by their exact written form.
        split: {
            name: fingerprint.of_texts(map(str, rows[name].to_pylist()))
            for name in rows.column_names
        }
        for split, rows in {"fit": fit, "held_out": held_out, **corpus.tests}.items()
    }
    content_of_task: list[Any] = [task.name, task.labels, content]
    if task.chosen:  # by another metric another epoch is the best
        content_of_task.append(task.select_on)
    return TaskData(
        task=task,
        fit=Dataset(fit),
        held_out=Dataset(held_out),
        tests={name: Dataset(rows) for name, rows in corpus.tests.items()},
        fingerprint=fingerprint.of_json(content_of_task),
        source=corpus.source,
        notes=(*corpus.notes, *_rare(corpus, fit)),
        train_rows=train_rows,
        held_out_given=corpus.held_out is not None,
        carved=test is not None,
        left_out=left_out,
    )


def _carved(corpus: Corpus, test: CarvedTest) -> Corpus:
    """The rows with a test split out of train; those that were there before come after it."""
    task, labels = corpus.task, corpus.train["label"].to_numpy()
    alone = corpus.rare or corpus.held_out is not None  # else a row of each class is held out too
    names = ("text_a", "text_b") if task.pair else ("text_a",)
    texts = [*zip(*(corpus.train[name].to_pylist() for name in names), strict=True)]
    keep = 1 if alone else 2
    parts = carving.carve(labels, task, test.size(len(labels)), keep=keep, texts=texts)
    left, carved = (corpus.train.take(pa.array(part)) for part in parts)
    dropped = len(labels) - left.num_rows - carved.num_rows
    given_names = carving.given_names(task)
    given = {given_names[name]: rows for name, rows in corpus.tests.items()}
    return replace(
        corpus,
        task=carving.with_carved_test(task),
        train=left,
        tests={carving.TEST: carved, **given},
        notes=(*corpus.notes, carving.note(carved.num_rows, len(labels), dropped)),
    )


def _rare(corpus: Corpus, fit: pa.Table) -> Iterator[str]:
    """Notes on classes with hardly any row, of rows where they are allowed."""
    if corpus.task.regression or not corpus.rare:
        return
    counts = np.bincount(fit["label"].to_numpy(), minlength=corpus.task.outputs)
    for number, words in ((0, "no row"), (1, "one row")):
        names = [corpus.task.labels[label] for label in np.flatnonzero(counts == number)]
        if names:
            shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
            yield f"{len(names)} classes have {words} to learn from: {shown}"
