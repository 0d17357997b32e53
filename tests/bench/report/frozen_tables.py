"""Every format of a report read as tables of fields and values."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

Row = dict[str, Any]

TEXT = "text"
"""Field of a sentence."""
FIGURES = "figures"
"""Field of the numbers in a row of LaTeX."""


@dataclass(frozen=True)
class Table:
    """Rows of one table, section or paragraph list.

    Attributes:
        format: md, latex, csv, parquet or json.
        name: title of a table, name of a section; a title followed by ``notes`` for sentences.
        rows: field -> value; all rows of Markdown have the same fields in the order shown.
        labels: fields that say what a row is of; None for data, where all but floats do.
    """

    format: str
    name: str
    rows: tuple[Row, ...]
    labels: tuple[str, ...] | None = None


def tables(files: Mapping[str, Any]) -> list[Table]:
    """All tables of the files of a report."""
    readers = {".md": _markdown, ".tex": _latex, ".csv": _csv, ".parquet": _parquet, ".json": _json}
    made: list[Table] = []
    for name, content in files.items():
        path = PurePath(name)
        made += readers[path.suffix](path.with_suffix("").as_posix(), content)
    return [table for table in _joined(made) if table.rows or table.format != "md"]


def _joined(parts: list[Table]) -> Iterator[Table]:
    """Tables of LaTeX that are continued as one."""
    whole: dict[tuple[str, str], Table] = {}
    for part in parts:
        place = part.format, part.name
        before = whole[place].rows if place in whole else ()
        whole[place] = Table(part.format, part.name, before + part.rows, part.labels)
    yield from whole.values()


# --- Markdown ------------------------------------------------------------------------------------


def _markdown(_: str, text: str) -> Iterator[Table]:
    title, lines, sentences = "", [], []
    names: list[str] = []
    for line in [*text.splitlines(), "## "]:
        if line.startswith("## "):
            yield from _grid(title, lines)
            yield Table("md", f"{title} notes", tuple({TEXT: one} for one in sentences), ())
            title, lines, sentences = _plain(line[3:]), [], []
            assert title not in names, f"two tables are called {title}"
            names.append(title)
        elif line.startswith("|"):
            lines.append(line)
        elif line:
            sentences.append(_plain(line.removeprefix("- ").removeprefix("# ")))


def _grid(title: str, lines: list[str]) -> Iterator[Table]:
    if not lines:
        return
    header, rule, *rows = map(_cells, lines)
    assert len(set(header)) == len(header), f"two columns of {title} have one header"
    labels = [name for name, dashes in zip(header, rule, strict=True) if not dashes.endswith(":")]
    made = tuple(dict(zip(header, row, strict=True)) for row in rows)
    yield Table("md", title, made, tuple(labels))


def _cells(line: str) -> list[str]:
    return [_plain(cell) for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def _plain(text: str) -> str:
    """What Markdown shows, with single blanks."""
    shown = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", " ".join(text.split()))
    return shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


# --- LaTeX ---------------------------------------------------------------------------------------

_SIZE = r"\\rule\{[^}]*\}\{[^}]*\}|\{[\d.]+(?:em|ex|pt|mm|cm)\}|\\char\d+"
"""Digits that are markup."""
_FIGURE = re.compile(r"[-+]?\d+(?:[.,]\d+)*")


def _latex(_: str, text: str) -> Iterator[Table]:
    for part in text.split(r"\caption{")[1:]:
        caption = _bare(part.split("}\n")[0])
        body = part.split(r"\midrule", 1)[1].split(r"\bottomrule")[0]
        rows = [row for row in re.split(r"\\\\\s", body) if row.strip()]
        figures = tuple({FIGURES: _FIGURE.findall(_bare(row))} for row in rows)
        yield Table("latex", caption.removesuffix(" (continued)"), figures, ())


def _bare(text: str) -> str:
    """Letters, digits and signs without commands; digits that markup parts are joined."""
    text = re.sub(_SIZE, "", text.replace("$-$", "-").replace("−", "-"))
    text = re.sub(r"\\([%&#_{}$])", r"\1", text)
    return re.sub(r"\\[A-Za-z]+\*?|[{}$\\]", "", text)


# --- data ----------------------------------------------------------------------------------------


def _csv(name: str, text: str) -> Iterator[Table]:
    rows = csv.DictReader(io.StringIO(text))
    yield Table("csv", name, tuple({k: _value(v) for k, v in row.items()} for row in rows))


def _parquet(name: str, rows: list[Row]) -> Iterator[Table]:
    yield Table("parquet", name, tuple(map(_flat, rows)))


def _json(_: str, data: Row) -> Iterator[Table]:
    """Each list of records is a table; the rest of the document is one row of another."""
    document = _flat(data)
    lists = {name: value for name, value in document.items() if _is_records(value)}
    yield Table("json", "document", ({k: v for k, v in document.items() if k not in lists},))
    for name, records in lists.items():
        yield Table("json", name, tuple(map(_flat, records)))


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _flat(record: Row, prefix: str = "") -> Row:
    """Nested fields with dots between their names; lists stay as they are."""
    flat: Row = {}
    for name, value in record.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = _value(value) if isinstance(value, str) else _finite(value)
    return flat


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _value(text: str) -> Any:
    """What a cell of CSV, or a list that a column holds as text, says."""
    if text == "":
        return None
    if text in ("True", "False"):
        return text == "True"
    if text[0] in "[{" or re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?", text):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return None if text.lower() in ("nan", "inf", "-inf") else text
