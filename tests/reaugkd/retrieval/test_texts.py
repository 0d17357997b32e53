"""Texts are read by position whatever holds them; what is no text is refused with its place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from datasets import Dataset

from reaugkd.errors import UserError
from reaugkd.retrieval.texts import read_texts

TEXTS = ["soup", "cake", "bread"]
PAIRS = [("soup", "cake"), ("bread", "soup")]

HOLDERS: dict[str, Any] = {
    "list": TEXTS,
    "tuple": tuple(TEXTS),
    "generator": (text for text in TEXTS),
    "objects": np.array(TEXTS, dtype=object),
    "numpy strings": np.array(TEXTS),
    "series": pd.Series(TEXTS),
    "shuffled series": pd.Series(["cake", "bread", "soup"]).iloc[[2, 0, 1]],
    "filtered series": pd.Series(["x", *TEXTS])[lambda s: s.str.len() > 1],
    "series by name": pd.Series(TEXTS, index=["b", "a", "a"]),
    "string dtype": pd.Series(TEXTS, dtype="string"),
    "category": pd.Series(TEXTS, dtype="category"),
    "index": pd.Index(TEXTS),
    "arrow": pa.array(TEXTS),
    "chunked": pa.chunked_array([TEXTS[:1], TEXTS[1:]]),
    "dataset": Dataset.from_dict({"text": TEXTS})["text"],
}

PAIRED: dict[str, Any] = {
    "tuples": PAIRS,
    "lists": [list(pair) for pair in PAIRS],
    "zip": zip(*(zip(*PAIRS, strict=True)), strict=True),
    "rows": np.array(PAIRS),
    "frame": pd.DataFrame(PAIRS, columns=["a", "b"], index=[7, 3]),
    "arrow": pa.array([list(pair) for pair in PAIRS]),
    "series": pd.Series(PAIRS, index=[1, 0]),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_single_texts_are_read_by_position(holder: str) -> None:
    rows = read_texts(HOLDERS[holder], pair=False)
    assert rows == [(text,) for text in TEXTS]
    assert all(type(text) is str for (text,) in rows)


@pytest.mark.parametrize("holder", PAIRED)
def test_pairs_are_read_by_position(holder: str) -> None:
    assert read_texts(PAIRED[holder], pair=True) == PAIRS


def test_without_a_task_the_first_text_decides() -> None:
    assert read_texts(TEXTS) == [(text,) for text in TEXTS]
    assert read_texts(PAIRS) == PAIRS
    assert read_texts([]) == read_texts(np.array([])) == []
    with pytest.raises(UserError, match="text 1 is one sentence"):
        read_texts([("a", "b"), "c"])
    with pytest.raises(UserError, match="text 1 is a tuple of 2"):
        read_texts(["c", ("a", "b")])


@pytest.mark.parametrize(
    ("texts", "pair", "message"),
    [
        ("soup", False, "not one string"),
        (b"soup", False, "not one bytes"),
        ({"a": "soup"}, False, "a dict has no order"),
        ({"soup"}, False, "a set has no order"),
        (5, False, "not int"),
        (np.array("soup"), False, "not ndarray"),
        (["soup", None], False, "text 1 is None"),
        (["soup", float("nan")], False, r"text 1 is nan \(float\)"),
        (pd.Series(["soup", pd.NA], index=[5, 6]), False, "text 1 is (<NA>|nan)"),
        (pa.array(["soup", None]), False, "text 1 is None"),
        (["soup", 3], False, r"text 1 is 3 \(int\)"),
        (["soup", b"cake"], False, r"text 1 is b'cake' \(bytes\)"),
        (["soup", "bad \ud800 text"], False, r"text 1 has the lone surrogate .* at character 4"),
        (["soup", {"text": "cake"}], False, "text 1 is {'text': 'cake'}"),
        (Dataset.from_dict({"text": TEXTS}), False, "text 0 is {'text': 'soup'}"),
        (["soup", ("cake",)], False, "text 1 is a tuple of 1, but the task takes one sentence"),
        (PAIRS, False, "text 0 is a tuple of 2"),
        (TEXTS, True, "text 0 is one sentence, but the task takes pairs"),
        ([*PAIRS, ("a", "b", "c")], True, "text 2 has 3 parts"),
        ([*PAIRS, ("a",)], True, "text 2 has 1 parts"),
        ([*PAIRS, None], True, "text 2 is None, expected a pair"),
        ([("a", None)], True, "text 0, second sentence, is None"),
        ([("a\udfff", "b")], True, "text 0, first sentence, has the lone surrogate"),
    ],
)
def test_what_is_no_text_is_refused_with_its_place(texts: Any, pair: bool, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_texts(texts, pair=pair)


def test_an_empty_text_is_a_text() -> None:
    assert read_texts(["", " "], pair=False) == [("",), (" ",)]
