"""GLUE from a folder in the layout of the official download: ``<DIR>/<TASK>/{train,dev}.tsv``."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from reaugkd.errors import DataError
from reaugkd.tasks import tsv
from reaugkd.tasks.corpus import Corpus, parse_label, table
from reaugkd.tasks.glue import COLUMNS
from reaugkd.tasks.task import Task


def folder_of(task: Task, data_dir: str | Path) -> Path:
    """Where the files of ``task`` lie; DataError if there is no such folder."""
    folder = Path(data_dir) / task.title
    if not folder.is_dir():
        raise DataError(
            f"{folder} is not a folder: {task.title} is read from"
            f" {', '.join(f'{task.title}/{name}.tsv' for name in ('train', *task.tests))}"
            " as in the official GLUE download"
        )
    return folder


def from_folder(task: Task, data_dir: str | Path) -> Corpus:
    """Read ``train`` and the dev files of ``task`` below ``data_dir``.

    Texts stay as they are upstream: HTML entities, control characters and spaces at the ends too.
    Rows of QQP without all their columns are upstream's own damage; they are skipped, as the hub
    does, and counted in the notes. Any other flaw is a DataError that names path and line.
    """
    folder = folder_of(task, data_dir)
    notes: list[str] = []
    train = _read(task, folder / "train.tsv", notes)
    tests = {name: _read(task, folder / f"{name}.tsv", notes) for name in task.tests}
    return Corpus(task, train, tests, source="folder", notes=tuple(notes))


def _read(task: Task, path: Path, notes: list[str]) -> pa.Table:
    """The rows of one file; what was skipped is added to ``notes``."""
    if not path.is_file():
        raise DataError(f"{path} is missing: {task.title} needs it")
    columns = COLUMNS[task.name]
    damaged = task.name == "qqp"
    texts: list[list[str]] = [[] for _ in columns.texts]
    labels: list[float] = []
    skipped = 0
    wanted = (*columns.texts, columns.label)
    for number, cells in tsv.read(path, wanted, header=columns.header, allow_short=damaged):
        if cells is None or (damaged and not cells[-1]):
            skipped += 1
            continue
        try:
            labels.append(parse_label(task, cells[-1]))
        except ValueError as error:
            raise DataError(f"{path}:{number}: {error}") from error
        for column, cell in zip(texts, cells[:-1], strict=True):
            column.append(cell)
    if skipped:
        notes.append(f"{task.title}/{path.name}: {skipped} rows without all columns skipped")
    return table(task, texts, labels, where=str(path))
