"""Rows of a CSV or TSV file: quotes, line breaks inside cells, byte order marks, any delimiter.

Python's csv module, for it names the row of every flaw and leaves cells as they are written; pandas
and pyarrow name no row where bytes are no text, and make 1 of "01".
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Literal

from reaugkd.errors import DataError, UnknownNameError

DELIMITERS = (",", ";", "\t", "|")
"""Those that are tried; the file's is the one under which its header has the columns."""

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
LONGEST = 2**31 - 1  # characters of a cell


@dataclass(frozen=True)
class Dialect:
    """How a file is written.

    Attributes:
        delimiter: between cells; None: found.
        quotes: whether ``"`` may enclose cells.
        encoding: None: UTF-8, or what a byte order mark says.
    """

    delimiter: str | None = None
    quotes: bool = True
    encoding: str | None = None

    def rows(self, text: str, delimiter: str) -> Any:
        """A strict reader of ``text``."""
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if self.quotes else csv.QUOTE_NONE
        return csv.reader(
            StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True
        )


def read(path: Path, columns: Sequence[str], dialect: Dialect) -> dict[str, list[str]]:
    """The wanted ``columns`` of every row, cell by cell as it is written.

    Lines without anything are no rows. A DataError names the file and, counted from 1 below the
    header, the row of a flaw: cells too few or too many, a quote that is not closed, bytes that are
    no text; or the nearest column if one is missing.
    """
    with _cells_of_any_length():
        text = decoded(path, dialect.encoding, lambda before: _row_at(before, columns, dialect))
        delimiter = _delimiter(path, text, columns, dialect)
        reader = filter(None, dialect.rows(text, delimiter))
        header = _names(next(reader, []))
        require(columns, header, str(path))
        places = [header.index(name) for name in columns]
        read_columns: dict[str, list[str]] = {name: [] for name in columns}
        row = 0
        try:
            for row, cells in enumerate(reader, start=1):
                if len(cells) != len(header):
                    raise DataError(
                        f"{path}, row {row}: expected {len(header)} cells ({', '.join(header)}), "
                        f"found {len(cells)}{_hint(dialect)}"
                    )
                for name, place in zip(columns, places, strict=True):
                    read_columns[name].append(cells[place])
        except csv.Error as error:
            raise DataError(f"{path}, row {row + 1}: {error}{_hint(dialect)}") from error
    return read_columns


def decoded(path: Path, encoding: str | None, row_at: Callable[[str], int]) -> str:
    """The text of a file without its byte order mark.

    ``row_at`` tells the number of the row in which a beginning of the text ends: a DataError names
    the row of bytes that are no text, or of a NUL byte.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    name = encoding or next((codec for mark, codec in MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(name)
    except LookupError as error:
        raise DataError(f"data.encoding '{encoding}' is no encoding that Python knows") from error
    except UnicodeDecodeError as error:
        where = _place(path, row_at(data[: error.start].decode(name, "ignore")))
        raise DataError(
            f"{where}: byte {data[error.start]:#04x} is not {name}: give the encoding of the "
            "file, e.g. --set data.encoding=cp1252"
        ) from error
    if (at := text.find("\0")) >= 0:
        raise DataError(
            f"{_place(path, row_at(text[:at]))}: a NUL byte, which no text holds: another encoding "
            "(--set data.encoding=utf-16-le) or another kind of file?"
        )
    return text.removeprefix("\ufeff")


def _place(path: Path, row: int) -> str:
    return f"{path}, row {row}" if row else f"{path}, header"


def require(columns: Sequence[str], header: Sequence[str], where: str) -> None:
    """Raise a DataError unless every one of ``columns`` stands once in ``header``."""
    for name in columns:
        if name not in header:
            hint = "" if len(header) > 1 else "; is that its delimiter? see data.delimiter"
            raise DataError(f"{where}: {UnknownNameError('column', name, header)}{hint}")
        if header.count(name) > 1:
            raise DataError(f"{where}: {header.count(name)} columns are called '{name}'")


def _names(header: Sequence[str]) -> list[str]:
    return [name.strip() for name in header]


def _delimiter(path: Path, text: str, columns: Sequence[str], dialect: Dialect) -> str:
    """The delimiter that is given, or under which the header has most of ``columns``."""
    if dialect.delimiter is not None:
        return dialect.delimiter
    tabs_first = path.suffix.lower() == ".tsv"
    candidates = sorted(DELIMITERS, key=lambda each: each != "\t") if tabs_first else DELIMITERS

    def fits(delimiter: str) -> tuple[int, int]:
        try:
            names = _names(next(filter(None, dialect.rows(text, delimiter)), []))
        except csv.Error:
            return -1, 0
        return sum(name in names for name in columns), len(names)

    return max(candidates, key=fits)


def _row_at(before: str, columns: Sequence[str], dialect: Dialect) -> int:
    delimiter = _delimiter(Path(), before, columns, dialect)
    count = 0
    try:
        for _ in filter(None, dialect.rows(before + "x", delimiter)):
            count += 1
    except csv.Error:
        count += 1  # the row ends inside of quotes
    return count - 1


def _hint(dialect: Dialect) -> str:
    return "; if quotes are ordinary there: --set data.quotes=false" if dialect.quotes else ""


@contextmanager
def _cells_of_any_length() -> Iterator[None]:
    """The csv module's limit is the process's, so it is put back."""
    before = csv.field_size_limit(LONGEST)
    try:
        yield
    finally:
        csv.field_size_limit(before)
