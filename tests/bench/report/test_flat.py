"""Laws of records as rows: nothing is lost, nothing is rounded, nothing is made up."""

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
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.report import flat
from bench.report.summary import Summary
from tests.bench.measure import judged


@dataclass(frozen=True)
class Score:
    method: str
    test: bool
    value: Summary


def score(mean: float | None = 0.1, sd: float | None = None, method: str = "kd") -> Score:
    return Score(method, True, Summary(mean, sd, 1))


def parquet(records: list[Any]) -> list[dict[str, Any]]:
    found = pyarrow.parquet.read_table(io.BytesIO(flat.as_parquet(records))).to_pylist()
    assert isinstance(found, list)
    return found


def read(records: list[Any]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(flat.as_csv(records))))


def test_what_is_nested_has_a_column_per_leaf() -> None:
    (row,) = flat.rows([score(0.5, 0.25)])
    assert (row["value.mean"], row["value.sd"], row["value.n"]) == (0.5, 0.25, 1)
    assert "value" not in row


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=8))
def test_figures_come_back_to_the_last_bit(values: list[float]) -> None:
    records = [score(value) for value in values]
    assert [float(row["value.mean"]) for row in read(records)] == values
    assert [row["value.mean"] for row in parquet(records)] == values


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, None])
def test_what_is_no_number_is_missing(odd: float | None) -> None:
    assert read([score(odd)])[0]["value.mean"] == ""
    assert parquet([score(odd)])[0]["value.mean"] is None
    assert flat.plain({"a": [odd, 1.0]}) == {"a": [None, 1.0]}


HOSTILE = ("a<b>", "x & y", "snake_case", "50 %", "a|b", 'say "hi", it\'s', "two\nlines", "–±µ")


@pytest.mark.parametrize("name", HOSTILE)
def test_names_come_back_as_they_are(name: str) -> None:
    assert read([score(method=name)])[0]["method"] == name
    assert parquet([score(method=name)])[0]["method"] == name


@dataclass(frozen=True)
class Grid:
    name: str
    ks: list[int]
    values: Any
    note: str | None = None
    figure: float | None = None


def test_lists_and_arrays_are_lists_in_parquet_and_json_in_csv() -> None:
    grid = Grid("g", [1, 8], np.array([[0.1, 0.2], [0.3, math.nan]]))
    assert json.loads(read([grid])[0]["ks"]) == [1, 8]
    assert json.loads(read([grid])[0]["values"]) == [[0.1, 0.2], [0.3, None]]
    (row,) = parquet([grid])
    assert (row["ks"], row["values"]) == ([1, 8], [[0.1, 0.2], [0.3, None]])


def test_a_column_without_values_has_the_type_of_its_field() -> None:
    table = pyarrow.parquet.read_table(io.BytesIO(flat.as_parquet([Grid("g", [], [])])))
    types = {field.name: str(field.type) for field in table.schema}
    assert (types["note"], types["figure"]) == ("string", "double")


def test_a_column_of_mixed_types_is_text_without_loss() -> None:
    records = [{"x": 1}, {"x": "one"}, {"x": True}, {"x": None}]
    found = [row["x"] for row in parquet(records)]
    assert [None if one is None else json.loads(one) for one in found] == [1, "one", True, None]


def test_integers_and_figures_share_a_column_of_figures() -> None:
    assert [row["x"] for row in parquet([{"x": 1}, {"x": 0.5}])] == [1.0, 0.5]


def test_an_integer_too_large_for_a_column_is_text() -> None:
    assert json.loads(parquet([{"x": 2**70}])[0]["x"]) == 2**70


def test_all_rows_have_the_same_columns_and_optional_parts_have_none_of_their_own() -> None:
    records = [judged.failed("killed"), judged.record(0.01, 0.02)]
    found = flat.rows(records)
    assert found[0].keys() == found[1].keys()
    assert found[0]["result.ratio.estimate"] is None
    assert found[1]["result.ratio.low"] == 0.01
    assert "result" not in found[0]
    assert found[1]["cell.base"] == "mrpc"
    assert len(parquet(records)) == 2


def test_no_records_give_no_text() -> None:
    assert flat.as_csv([]) == ""
    assert parquet([]) == []


def test_the_same_records_give_the_same_bytes() -> None:
    records = [score(0.1), score(0.2)]
    assert flat.as_parquet(records) == flat.as_parquet(records)
