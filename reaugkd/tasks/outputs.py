"""A black-box teacher's outputs: what it said of the rows of a file, checked.

A row's answer is ``probabilities`` or ``logits``, which win if both are there (a list per row, or a
column per class: ``p_0`` or ``p_<class>``, ``logit_0`` or ``logit_<class>``), or else the ``label``
alone; ``embeddings`` (a list, or ``e_0``, ``e_1``, ...) if there are any. ``idx`` is the number of
the row in its source file, from 0; without it the rows are those of that file in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reaugkd.errors import DataError
from reaugkd.tasks.labels import match
from reaugkd.tasks.output_files import IDS, LABEL, PREFIX, Columns, columns
from reaugkd.tasks.task import Task

SUM = 1e-3
"""How far the probabilities of a row may be from a sum of 1."""

LEAST = 1e-6
"""Probabilities below this count as this in their logarithm. The logarithm of 0 would teach with
infinite strength, and one-hot answers (a ``label`` alone) consist of 0 and 1."""


@dataclass(frozen=True)
class TeacherOutputs:
    """What a teacher said of the rows of one file, in the file's order.

    Attributes:
        path: the file.
        ids: [N] int64, numbers of the rows in their source, or None where the order says it.
        logits: [N, C] float32, in the order of the task's classes; [N, 1] scores of a regression.
        embedding: [N, H] float32, or None.
        note: what a reader should know of how the classes were matched, or None.
    """

    path: Path
    ids: NDArray[np.int64] | None
    logits: NDArray[np.float32]
    embedding: NDArray[np.float32] | None
    note: str | None = None

    def places(self, ids: NDArray[np.int64], total: int, split: str) -> NDArray[np.int64]:
        """Where the rows ``ids`` [n] of a source of ``total`` rows stand in here, [n].

        A DataError names the first row that is missing or unknown, or both numbers of rows.
        """
        if self.ids is None:
            if len(self.logits) != total:
                raise DataError(
                    f"{self.path} has {len(self.logits)} rows, {split} has {total}: give one for "
                    f"each in their order, or their numbers in a column '{IDS}'"
                )
            return ids
        row = _first(self.ids >= total)
        if row is not None:
            raise DataError(
                f"{self.path}, row {row}: there is no {IDS} {self.ids[row]}, {split} has rows 0 to "
                f"{total - 1}"
            )
        place = np.full(total, -1, dtype=np.int64)
        place[self.ids] = np.arange(len(self.ids))
        missing = ids[place[ids] < 0]
        if len(missing):
            more = f" (and of {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise DataError(f"{self.path} says nothing of row {missing[0]} of {split}{more}")
        return place[ids]


def read(path: Path, task: Task) -> TeacherOutputs:
    """The outputs in a Parquet, JSONL, CSV or npz file, checked.

    Raises:
        DataError: names the file and, where there is one, the row (from 0) and the value.
        LabelError: columns are named after other classes than the task's.
    """
    values = columns(path)
    ids = _ids(path, values)
    logits, note = _logits(path, values, task)
    return TeacherOutputs(path, ids, logits, _embedding(path, values), note)


def _first(wrong: NDArray[np.bool_] | np.bool_) -> int | None:
    """The first row that is wrong."""
    rows = np.flatnonzero(wrong)
    return int(rows[0]) if len(rows) else None


def _ids(path: Path, values: Columns) -> NDArray[np.int64] | None:
    given = values.get(IDS)
    if given is None:
        return None
    if given.ndim != 1 or given.dtype.kind not in "iu":
        raise DataError(f"{path}: {IDS} holds row numbers, found {given.dtype}")
    ids: NDArray[np.int64] = given.astype(np.int64)
    row = _first(ids < 0)
    if row is not None:
        raise DataError(f"{path}, row {row}: {IDS} {ids[row]} is negative")
    _, first = np.unique(ids, return_index=True)
    if len(first) < len(ids):
        again = int(np.setdiff1d(np.arange(len(ids)), first)[0])
        raise DataError(f"{path}, row {again}: {IDS} {ids[again]} stands there a second time")
    return ids


def _logits(path: Path, values: Columns, task: Task) -> tuple[NDArray[np.float32], str | None]:
    name = "logits"
    table = _table(path, values, name)
    if table is None:
        name = "probabilities"
        table = _table(path, values, name)
    if table is None and LABEL in values:
        return _of_labels(path, values[LABEL], task), None
    if table is None:
        found = ", ".join(dict.fromkeys(column.partition("/")[0] for column in values)) or "none"
        raise DataError(
            f"{path}: no column probabilities, logits or {LABEL}, nor p_0, p_1, ... (found of what "
            f"is read: {found})"
        )
    numbers, names = table
    if task.regression and (name == "probabilities" or numbers.shape[1] != 1):
        raise DataError(f"{path}: {task.title} is a regression: give logits, one score per row")
    if numbers.shape[1] != task.outputs:
        raise DataError(
            f"{path}: {name} of {numbers.shape[1]} classes, {task.title} has {task.outputs} "
            f"({', '.join(task.labels)})"
        )
    note = None
    if names is not None and not task.regression:
        places, note = match(names, task.labels, f"{path.name} ({name})")
        numbers = numbers[:, places]
        note = None if names == [str(number) for number in range(task.outputs)] else note
    if name == "probabilities":
        numbers = _log(path, numbers)
    return numbers.astype(np.float32), note


def _log(path: Path, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logits of probabilities [N, C]; a softmax gives back those that are at least LEAST."""
    row = _first(((probabilities < 0) | (probabilities > 1)).any(axis=1))
    if row is not None:
        low, high = probabilities[row].min(), probabilities[row].max()
        raise DataError(
            f"{path}, row {row}: probabilities are between 0 and 1, found {low:g} to {high:g}"
        )
    sums = probabilities.sum(axis=1)
    row = _first(np.abs(sums - 1) > SUM)
    if row is not None:
        raise DataError(f"{path}, row {row}: probabilities sum to {sums[row]:g} instead of 1")
    logits: NDArray[np.float64] = np.log(np.maximum(probabilities, LEAST))
    return logits


def _of_labels(path: Path, values: NDArray[Any], task: Task) -> NDArray[np.float32]:
    """Logits of one-hot probabilities, of class names or ids [N]; scores of a regression."""
    if task.regression:
        return _numbers(path, LABEL, values).reshape(-1, 1).astype(np.float32)
    ids = {str(number): number for number in range(task.outputs)}
    ids |= {label: number for number, label in enumerate(task.labels)}
    classes = np.zeros(len(values), dtype=np.int64)
    for row, value in enumerate(values.tolist()):
        if str(value) not in ids:
            raise DataError(
                f"{path}, row {row}: expected a label among {', '.join(task.labels)}, found "
                f"{value!r}"
            )
        classes[row] = ids[str(value)]
    certain = np.eye(task.outputs, dtype=np.float32)[classes]
    logits: NDArray[np.float32] = np.log(np.maximum(certain, LEAST))
    return logits


def _embedding(path: Path, values: Columns) -> NDArray[np.float32] | None:
    table = _table(path, values, "embeddings")
    if table is None:
        return None
    embedding = table[0].astype(np.float32)
    row = _first(~embedding.any(axis=1))
    if row is not None:
        raise DataError(f"{path}, row {row}: an embedding of zeros has no direction")
    return embedding


def _table(
    path: Path, values: Columns, name: str
) -> tuple[NDArray[np.float64], Sequence[str] | None] | None:
    """Values [N, n] of a table in any of its forms, and the names of its columns if they have some.

    Columns whose names are 0, 1, ... come in that order.
    """
    if name in values:
        numbers = _numbers(path, name, values[name])
        return (numbers[:, None] if numbers.ndim == 1 else numbers), None
    for prefix in (f"{name}/", PREFIX[name]):
        parts = [key.removeprefix(prefix) for key in values if key.startswith(prefix)]
        if parts:
            break
    else:
        return None
    counted = [str(number) for number in range(len(parts))]
    if set(parts) == set(counted):
        parts = counted
    elif name == "embeddings":
        raise DataError(
            f"{path}: components of embeddings are {prefix}0, {prefix}1, ... without a gap, found "
            f"{', '.join(prefix + part for part in parts[:6])}"
        )
    columns_of_it = [_numbers(path, prefix + part, values[prefix + part]) for part in parts]
    return np.stack(columns_of_it, axis=1), parts


def _numbers(path: Path, name: str, values: NDArray[Any]) -> NDArray[np.float64]:
    if values.dtype.kind not in "iufb" or values.ndim > 2:
        raise DataError(f"{path}: {name} holds no numbers (type {values.dtype})")
    numbers: NDArray[np.float64] = values.astype(np.float64)
    row = _first(~np.isfinite(numbers.reshape(len(numbers), -1)).all(axis=1))
    if row is not None:
        raise DataError(f"{path}, row {row}: {name} is not finite")
    return numbers
