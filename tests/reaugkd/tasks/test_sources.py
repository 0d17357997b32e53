"""The same rows from any kind of file; a flaw is named with its file and row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from pyarrow import parquet

from reaugkd.errors import DataError, UserError
from reaugkd.tasks.delimited import Dialect
from reaugkd.tasks.sources import read

ROWS = {"text": ["one", "two\nlines", 'a "b"'], "label": ["x", "y", "x"]}


def columns(source: object, *names: str) -> dict[str, list[Any]]:
    return read(str(source), names or ("text", "label"), Dialect(), "train")


def lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n", encoding="utf-8-sig")
    return path


def test_every_format_gives_the_same_rows(tmp_path: Path) -> None:
    rows = [dict(zip(ROWS, row, strict=True)) for row in zip(*ROWS.values(), strict=True)]
    parquet.write_table(pa.table(ROWS), tmp_path / "a.parquet")
    encoded = pa.table({**ROWS, "label": pa.array(ROWS["label"]).dictionary_encode()})
    parquet.write_table(encoded, tmp_path / "b.parquet")
    for path in (tmp_path / "a.parquet", tmp_path / "b.parquet", lines(tmp_path / "a.jsonl", rows)):
        assert columns(path) == ROWS


def test_json_lines_keep_types_and_lack_what_is_not_there(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [{"text": "a", "label": 1}, {"text": "b"}, {"label": True}])
    assert columns(path) == {"text": ["a", "b", None], "label": [1, None, True]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"text": "a", "label": 1}\n\n{"text": "b"\n', ("row 2 (line 3)", "JSON object")),
        ('{"text": "a", "label": 1}\n[1]\n', ("row 2 (line 2)", "JSON object", "[1]")),
        ('{"txt": "a", "label": 1}\n', ("unknown column 'text'", "did you mean 'txt'")),
        ("[" * 100_000 + "\n", ("row 1", "JSON")),
    ],
)
def test_a_bad_line_is_named(content: str, words: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError) as told:
        columns(path)
    assert [word for word in (str(path), *words) if word not in str(told.value)] == []


def test_a_broken_or_foreign_parquet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pa.table({**ROWS, "n": [1, 2, 3]}), path)
    with pytest.raises(DataError, match="unknown column 'labl': did you mean 'label'"):
        columns(path, "text", "labl")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"a\.parquet cannot be read as Parquet") as told:
        columns(path)
    assert "\n" not in str(told.value)


def test_bytes_that_are_no_text_are_named_with_their_row(tmp_path: Path) -> None:
    bad = pa.array([b"fine", b"na\xefve"]).view(pa.string())
    parquet.write_table(pa.table({"text": bad, "label": ["x", "y"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"a\.parquet, row 2: expected UTF-8"):
        columns(tmp_path / "a.parquet")


def test_what_is_not_there_or_no_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no file .*nowhere\.csv"):
        columns(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match=r"book\.xlsx: expected \.csv, .*\.parquet or hub:NAME"):
        columns(tmp_path / "book.xlsx")


def test_a_data_set_of_the_hub_names_its_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
    )
    rows = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, -1]}, features=features)
    asked: list[Any] = []

    def load_dataset(name: str, split: str) -> datasets.Dataset:
        asked.append((name, split))
        return rows

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert columns("hub:org/name") == {"text": ["a", "b"], "label": ["yes", None]}
    assert columns("hub:org/name:dev")["text"] == ["a", "b"]
    assert asked == [("org/name", "train"), ("org/name", "dev")]


def test_a_hub_that_cannot_be_reached_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(*_: Any, **__: Any) -> None:
        raise ConnectionError("no network\nat all")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(UserError, match=r"cannot load hub:org/name:train: no network$"):
        columns("hub:org/name")
