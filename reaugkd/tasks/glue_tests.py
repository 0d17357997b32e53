"""Test rows of GLUE, which have no labels: they are read to be answered, never to be scored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reaugkd.errors import DataError
from reaugkd.tasks.glue import COLUMNS, DIAGNOSTIC, HUB, folder_of
from reaugkd.tasks.glue_folder import rows_of
from reaugkd.tasks.glue_hub import splits
from reaugkd.tasks.task import Task

DIAGNOSTIC_FILES = ("diagnostic/diagnostic.tsv", "AX/diagnostic.tsv", "AX/AX.tsv")
"""Where downloads of GLUE put them."""

Texts = list[tuple[str, ...]]
"""Rows in their order: (sentence,) or (first, second)."""


@dataclass(frozen=True)
class UnlabelledRows:
    """The texts of one test file, and where they were read."""

    texts: Texts
    source: str


def from_folder(task: Task, split: str, data_dir: str | Path) -> UnlabelledRows:
    """The rows of ``split``: ``test``, ``test_matched``, ``test_mismatched`` or ``ax``.

    Their first column counts them from 0. A DataError names the file that is missing, or the line
    that lacks a column or is out of order: answers are matched with rows by that number.
    """
    path = _diagnostic(Path(data_dir)) if split == DIAGNOSTIC else _test(task, split, data_dir)
    number = "id" if task.name == "qqp" else "index"
    texts: Texts = []
    for line, cells in rows_of(path, (number, *COLUMNS[task.name].texts)):
        if cells is None or cells[0] != str(len(texts)):
            found = "too few columns" if cells is None else repr(cells[0])
            raise DataError(
                f"{path}:{line}: expected row {len(texts)} in '{number}', found {found}"
            )
        texts.append(cells[1:])
    return UnlabelledRows(texts, str(path))


def from_hub(
    task: Task, split: str, repo: str = HUB, revision: str | None = None
) -> UnlabelledRows:
    """The same rows from the hub, or from a local folder in its layout."""
    config, name = (DIAGNOSTIC, "test") if split == DIAGNOSTIC else (task.name, split)
    (rows,) = splits(config, [name], repo, revision, title=f"{task.title} ({split})")
    source, columns = f"{repo} ({config}, {name})", COLUMNS[task.name].hub
    if absent := [column for column in columns if column not in rows.column_names]:
        raise DataError(f"{source}: expected the column '{absent[0]}'")
    arrow = rows.with_format("arrow")
    sides = [arrow[name][:].to_pylist() for name in columns]
    return UnlabelledRows([*zip(*sides, strict=True)], source)


def _test(task: Task, split: str, data_dir: str | Path) -> Path:
    path = folder_of(task, data_dir) / f"{split}.tsv"
    if not path.is_file():
        raise DataError(f"{path} is missing: the rows that {task.title}'s student is to answer")
    return path


def _diagnostic(data_dir: Path) -> Path:
    paths = [data_dir / name for name in DIAGNOSTIC_FILES]
    if found := next(filter(Path.is_file, paths), None):
        return found
    raise DataError(
        f"{data_dir} has none of {', '.join(DIAGNOSTIC_FILES)}: GLUE's diagnostic rows, which the "
        "student of MNLI is to answer"
    )
