"""Columns of a user's rows from wherever they lie: CSV, TSV, JSON lines, Parquet or the hub."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from reaugkd.errors import DataError, UserError
from reaugkd.paths import expanded
from reaugkd.tasks import delimited
from reaugkd.tasks.delimited import Dialect, decoded, require

HUB = "hub:"

Columns = dict[str, list[Any]]
"""Name -> a value per row: text of a CSV file, else whatever the file holds, None if nothing."""


def read(source: str, columns: Sequence[str], dialect: Dialect, split: str) -> Columns:
    """The wanted ``columns`` of ``source``: a file, or ``hub:NAME`` or ``hub:NAME:SPLIT``.

    ``split`` is that of the hub's where the source does not say it. A DataError names the file and
    the row, counted from 1, of what cannot be read, or the nearest column if one is missing; a
    UserError tells of a hub that cannot be reached.
    """
    if source.startswith(HUB):
        return _of_hub(source, columns, split)
    path = expanded(source)
    if path.suffix.lower() not in READERS:
        raise DataError(f"{source}: expected {', '.join(READERS)} or hub:NAME")
    if not path.is_file():
        raise DataError(f"there is no file {path}")
    return READERS[path.suffix.lower()](path, columns, dialect)


def _of_delimited(path: Path, columns: Sequence[str], dialect: Dialect) -> Columns:
    return {**delimited.read(path, columns, dialect)}


def _of_json_lines(path: Path, columns: Sequence[str], dialect: Dialect) -> Columns:
    def lines(text: str) -> list[tuple[int, str]]:
        numbered = enumerate(text.split("\n"), start=1)  # other control characters end no line
        return [(number, line) for number, line in numbered if line.strip()]

    rows: list[dict[str, Any]] = []
    text = decoded(path, dialect.encoding, lambda before: len(lines(before + "x")))
    for number, line in lines(text):
        where = f"{path}, row {len(rows) + 1} (line {number})"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: expected a JSON object on the line: {error}") from error
        if not isinstance(row, dict):
            raise DataError(f"{where}: expected a JSON object on the line, found {line[:40]}")
        rows.append(row)
    require(columns, list(dict.fromkeys(name for row in rows for name in row)), str(path))
    return {name: [row.get(name) for row in rows] for name in columns}


def _of_parquet(path: Path, columns: Sequence[str], _: Dialect) -> Columns:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            require(columns, file.schema_arrow.names, str(path))
            table = file.read(columns=list(columns))
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path} cannot be read as Parquet: {reason}") from error
    return {name: _values(table[name], str(path)) for name in columns}


def _values(column: Any, where: str) -> list[Any]:
    """The values of an Arrow column; a DataError names the row of one that is no text."""
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:
        for row, value in enumerate(column, start=1):
            try:
                value.as_py()
            except UnicodeDecodeError as error:
                raise DataError(f"{where}, row {row}: expected UTF-8 text: {error}") from error
        raise


def _of_hub(source: str, columns: Sequence[str], split: str) -> Columns:
    from datasets import load_dataset

    name, _, given = source.removeprefix(HUB).partition(":")
    where = f"{HUB}{name}:{given or split}"
    try:
        rows = load_dataset(name, split=given or split)
    except Exception as error:
        # The hub's client raises its own, httpx's, OSError and ValueError for what is one thing to
        # the user: the data set did not come. The cause stays attached.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"cannot load {where}: {reason}") from error
    require(columns, rows.column_names, where)
    arrow = rows.with_format("arrow")
    values = {name: _values(arrow[name][:], where) for name in columns}
    for column in columns:
        if names := getattr(rows.features[column], "names", None):  # ids that stand for classes
            ids = values[column]
            values[column] = [names[i] if i is not None and i >= 0 else None for i in ids]
    return values


READERS: dict[str, Callable[[Path, Sequence[str], Dialect], Columns]] = {
    ".csv": _of_delimited,
    ".tsv": _of_delimited,
    ".txt": _of_delimited,
    ".jsonl": _of_json_lines,
    ".ndjson": _of_json_lines,
    ".json": _of_json_lines,
    ".parquet": _of_parquet,
}
"""Ending of a file's name -> what reads it."""
