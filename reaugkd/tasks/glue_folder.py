r"""GLUE from a folder in the layout of the official download: ``<DIR>/<TASK>/{train,dev}.tsv``.

No row is ever merged, split or lost: Python's csv module and pandas treat ``"`` as a quote by
default and merge rows; ``str.splitlines`` ends a line at control characters that GLUE's sentences
contain. Only ``\n`` and ``\r\n`` end a line here.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from reaugkd.errors import DataError
from reaugkd.tasks.corpus import Corpus, parse_label, table
from reaugkd.tasks.glue import COLUMNS, folder_of
from reaugkd.tasks.task import Task


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
    for number, cells in rows_of(path, wanted, header=columns.header, allow_short=damaged):
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


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Every line of ``path`` with its number, counted from 1; a last empty line is no line."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    lines = data.removeprefix(codecs.BOM_UTF8).split(b"\n")
    if not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, start=1):
        try:
            yield number, line.removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{path}:{number}: expected UTF-8 text, found {error}") from error


def rows_of(
    path: Path,
    columns: Sequence[str],
    *,
    header: Sequence[str] | None = None,
    allow_short: bool = False,
) -> Iterator[tuple[int, tuple[str, ...] | None]]:
    """The wanted columns of every row as (line number, cells), neither stripped nor unescaped.

    ``header`` names all columns if the file has no header line. A row with too few columns is None
    with ``allow_short``; else it, a missing column and what is not UTF-8 are DataErrors that name
    file, line and what was expected.
    """
    lines = _lines(path)
    if header is None:
        header = next(lines, (1, ""))[1].split("\t")
        absent = [column for column in columns if column not in header]
        if absent:
            raise DataError(
                f"{path}:1: expected a header with the columns {', '.join(columns)};"
                f" missing: {', '.join(absent)}"
            )
    places = [header.index(column) for column in columns]
    for number, line in lines:
        cells = line.split("\t")
        if len(cells) == len(header):
            yield number, tuple(cells[place] for place in places)
        elif allow_short and len(cells) < len(header):
            yield number, None
        else:
            raise DataError(
                f"{path}:{number}: expected {len(header)} tab-separated columns"
                f" ({', '.join(header)}), found {len(cells)}"
            )
