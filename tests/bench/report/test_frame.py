"""Laws of frames: nothing is lost, nothing is rounded, nothing is made up."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.report.frame import plain, rows, trees, typed
from bench.report.render import data
from tests.bench.measure import judged


@dataclass(frozen=True)
class Grid:
    name: str
    ks: list[int]
    values: Any
    note: str | None = None
    figure: float | None = None


def parquet(records: list[Any]) -> list[dict[str, Any]]:
    table = pyarrow.parquet.read_table(io.BytesIO(data.as_parquet(typed(records))))
    listed: list[dict[str, Any]] = table.to_pylist()
    return listed


def read(records: list[Any]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.as_csv(typed(records)))))


def test_what_is_nested_has_a_column_per_leaf_and_comes_back_as_a_tree() -> None:
    record = {"method": "kd", "value": {"mean": 0.5, "sd": None, "n": 3}}
    frame = typed([record])
    assert list(frame) == ["method", "value.mean", "value.sd", "value.n"]
    assert trees(frame) == [record]
    (row,) = rows(frame)
    assert (row.method, row.value.mean, row.value.sd, row.value.n) == ("kd", 0.5, None, 3)


def test_a_part_without_any_value_is_none_like_the_record_it_was() -> None:
    frame = typed([{"a": 1, "part": {"x": 1}}, {"a": 2, "part": None}])
    assert list(frame) == ["a", "part.x"]
    assert [row.part for row in rows(frame)][1] is None
    assert trees(frame)[1] == {"a": 2, "part": None}


def test_models_with_optional_parts_share_their_columns() -> None:
    failed, done = rows(typed([judged.failed("killed"), judged.record(0.01, 0.02)]))
    assert failed.result is None
    assert done.result.ratio.low == 0.01
    assert done.cell.base == failed.cell.base == "mrpc"


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=8))
def test_figures_come_back_to_the_last_bit(values: list[float]) -> None:
    records = [{"x": value} for value in values]
    assert [float(row["x"]) for row in read(records)] == values
    assert [row["x"] for row in parquet(records)] == values
    assert trees(typed(records)) == records


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, None, np.float64("nan")])
def test_what_is_no_number_is_missing(odd: float | None) -> None:
    records = [{"x": odd, "y": 1}]
    assert read(records)[0]["x"] == ""
    assert parquet(records)[0]["x"] is None
    assert trees(typed(records)) == [{"x": None, "y": 1}]
    assert plain({"a": [odd, 1.0]}) == {"a": [None, 1.0]}


@pytest.mark.parametrize(
    "name", ["a<b>", "x & y", "a|b", 'say "hi", it\'s', "two\nlines", "–±µ", "NA", "nan", "0012"]
)
def test_names_come_back_as_they_are(name: str) -> None:
    records = [{"method": name}]
    assert read(records)[0]["method"] == name
    assert parquet(records)[0]["method"] == name
    assert rows(typed(records))[0].method == name


def test_lists_and_arrays_are_lists_in_parquet_and_json_in_csv() -> None:
    grid = Grid("g", [1, 8], np.array([[0.1, 0.2], [0.3, math.nan]]))
    assert json.loads(read([grid])[0]["ks"]) == [1, 8]
    assert json.loads(read([grid])[0]["values"]) == [[0.1, 0.2], [0.3, None]]
    (row,) = parquet([grid])
    assert (row["ks"], row["values"]) == ([1, 8], [[0.1, 0.2], [0.3, None]])


def test_a_column_of_mixed_types_is_text_without_loss() -> None:
    records = [{"x": 1}, {"x": "one"}, {"x": True}, {"x": None}]
    texts = [row["x"] for row in parquet(records)]
    assert [None if text is None else json.loads(text) for text in texts] == [1, "one", True, None]


@pytest.mark.parametrize(
    ("values", "types"),
    [
        ([1, None], (int, type(None))),
        ([1, 0.5], (float, float)),
        ([True, None], (bool, type(None))),
        ([2**62, 1], (int, int)),
    ],
)
def test_whole_numbers_stay_whole_beside_what_is_missing(
    values: list[Any], types: tuple[type, ...]
) -> None:
    records = [{"x": value} for value in values]
    assert tuple(type(tree["x"]) for tree in trees(typed(records))) == types
    assert [row["x"] for row in parquet(records)] == values


def test_an_integer_too_large_for_a_column_is_text_there_and_a_number_in_json() -> None:
    assert json.loads(parquet([{"x": 2**70}])[0]["x"]) == 2**70
    assert trees(typed([{"x": 2**70}])) == [{"x": 2**70}]


def test_nothing_gives_an_empty_frame_and_equal_records_equal_bytes() -> None:
    assert len(typed([])) == 0
    assert rows(typed([])) == []
    records = [{"x": 0.1, "y": ["a"]}, {"x": 0.2, "y": []}]
    assert data.as_parquet(typed(records)) == data.as_parquet(typed(records))
