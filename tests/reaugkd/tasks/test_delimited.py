"""CSV and TSV as people have them: every cell as it was written, or the file and the row named."""

from __future__ import annotations

import codecs
import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reaugkd.errors import DataError
from reaugkd.tasks.delimited import Dialect, read

WANTED = ("text", "label")
TEXTS = ['say "hi"', "two\nlines", "a,b;c\td|e", "", " spaced ", "naïve 日本 🦊", "old\r\nline"]


def write(path: Path, rows: list[list[str]], **style: str) -> Path:
    with path.open("w", encoding=style.pop("encoding", "utf-8"), newline="") as file:
        csv.writer(file, **style).writerows(rows)  # type: ignore[arg-type]
    return path


def columns(path: Path, dialect: Dialect | None = None) -> dict[str, list[str]]:
    return read(path, WANTED, dialect or Dialect())


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_cells_come_back_as_they_were_written(
    delimiter: str, end: str, encoding: str, tmp_path: Path
) -> None:
    rows = [["id", *WANTED], *([str(n), text, "01"] for n, text in enumerate(TEXTS))]
    path = write(
        tmp_path / "a.csv", rows, delimiter=delimiter, lineterminator=end, encoding=encoding
    )
    assert columns(path) == {"text": TEXTS, "label": ["01"] * len(TEXTS)}


cells = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9)


@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=5), st.sampled_from(",;\t|"))
def test_whatever_a_csv_writer_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], delimiter: str
) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    write(path, [[*WANTED], *map(list, rows)], delimiter=delimiter, quoting=csv.QUOTE_ALL)
    assert columns(path) == {"text": [a for a, _ in rows], "label": [b for _, b in rows]}


def test_blank_lines_are_no_rows_and_names_have_no_spaces_around(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\ntext, label\n\na,1\n\nb,2\n\n", encoding="utf-8")
    assert columns(path) == {"text": ["a", "b"], "label": ["1", "2"]}


def test_a_huge_cell_is_a_cell_and_the_limit_is_as_before(tmp_path: Path) -> None:
    before, huge = csv.field_size_limit(), "x" * 300_000
    path = write(tmp_path / "a.csv", [[*WANTED], [huge, "1"]])
    assert columns(path)["text"] == [huge]
    assert csv.field_size_limit() == before


def test_quotes_can_be_ordinary(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text('text\tlabel\n"Hello\t1\nfoo "bar"\t2\n', encoding="utf-8")
    assert columns(path, Dialect(quotes=False))["text"] == ['"Hello', 'foo "bar"']
    with pytest.raises(DataError, match=r"a\.tsv, row 1: .*data\.quotes=false"):
        columns(path)


def test_a_delimiter_can_be_given(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text:label\na:1\n", encoding="utf-8")
    assert columns(path, Dialect(delimiter=":")) == {"text": ["a"], "label": ["1"]}
    with pytest.raises(DataError, match=r"unknown column 'text'.*text:label.*data\.delimiter"):
        columns(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"text,lable\na,1\n", ["unknown column 'label'", "did you mean 'lable'"]),
        (b"text,label,label\na,1,2\n", ["2 columns are called 'label'"]),
        (b"text,label\na,1\nb\n", ["row 2", "expected 2 cells", "found 1"]),
        (b"text,label\na,1\nb,2,3\n", ["row 2", "found 3"]),
        (b'text,label\na,1\n"b,2\nc,3\n', ["row 2", "unexpected end"]),
        (b'text,label\n"two\nlines",1\nna\xefve,2\n', ["row 2", "0xef", "data.encoding=cp1252"]),
        (b"t\xefxt,label\n", ["header", "0xef"]),
        (b"text,label\na,1\nb\0,2\n", ["row 2", "NUL"]),
        (b"", ["unknown column 'text'"]),
    ],
)
def test_a_flaw_is_named_with_its_row(content: bytes, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as told:
        columns(path)
    message = str(told.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert [word for word in words if word not in message] == []


def test_another_encoding_can_be_given(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [[*WANTED], ["naïve", "1"]], encoding="cp1252")
    assert columns(path, Dialect(encoding="cp1252"))["text"] == ["naïve"]
    with pytest.raises(DataError, match=r"data\.encoding 'cp12520'"):
        columns(path, Dialect(encoding="cp12520"))
    path.write_bytes(codecs.BOM_UTF8 + b"text,label\na,1\n")
    assert columns(path, Dialect(encoding="utf-8"))["text"] == ["a"]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        columns(tmp_path)
