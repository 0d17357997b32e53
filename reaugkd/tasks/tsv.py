r"""Tab-separated files without quoting, read so that no row is ever merged, split or lost.

Python's csv module and pandas treat ``"`` as a quote by default and merge rows; ``str.splitlines``
ends a line at control characters that GLUE's sentences contain. Only ``\n`` and ``\r\n`` end a
line here.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from pathlib import Path

from reaugkd.errors import DataError


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


def read(
    path: Path,
    columns: Sequence[str],
    *,
    header: Sequence[str] | None = None,
    allow_short: bool = False,
) -> Iterator[tuple[int, tuple[str, ...] | None]]:
    """The wanted columns of every row as (line number, cells), neither stripped nor unescaped.

    Args:
        path: the file.
        columns: names of the wanted columns, in the order in which they are to be returned.
        header: the names of all columns if the file has no header line.
        allow_short: yield None for a row with too few columns instead of raising.

    Raises:
        DataError: the file cannot be read, is not UTF-8, lacks a column, or has a row with
            another number of columns than its header; names file, line and what was expected.
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
