"""The card counts what a reader should know of the rows."""

from __future__ import annotations

import numpy as np
from datasets import Dataset

from reaugkd.tasks import card, mini, own
from reaugkd.tasks.task import TaskData


def split(texts: list[str], labels: list[float]) -> Dataset:
    return Dataset.from_dict({"text_a": texts, "label": labels, "idx": range(len(texts))})


def rows(**changed: Dataset) -> TaskData:
    splits = {
        "fit": split(["a b", "c", "A  b ", "c"], [0, 1, 0, 0]),
        "held_out": split(["d", ""], [0, 1]),
        "test": split(["D", "e", "a b", "  "], [0, 0, 1, 1]),
        **changed,
    }
    task = own.task("mine", pair=False, labels=("no", "yes"))
    tests = {"test": splits["test"]}
    return TaskData(task, splits["fit"], splits["held_out"], tests, "x", "x")


def test_rows_classes_repetitions_and_what_test_shares_with_train() -> None:
    found = card.card(rows(), None, 128)
    assert found.rows == {"fit": 4, "held_out": 2, "test": 4}
    assert (found.classes, found.largest, found.smallest) == (2, ("no", 4.0), ("yes", 2.0))
    assert (found.repeated, found.contradicted) == (2, 1)
    assert found.known == {"test": 3}
    assert found.empty == {"held_out": 1, "test": 1}
    text = "\n".join(found.lines())
    assert "2 classes, from 2 rows of train (yes) to 4 (no), 2.0 times as many" in text
    assert "2 rows of train repeat an earlier one, 1 of them with another label" in text
    assert "3 of 4 rows of test (75.0%) stand in train" in text


def test_clean_rows_have_nothing_to_warn_of() -> None:
    found = card.card(rows(fit=split(["x", "y"], [0, 1]), test=split(["z"], [0])), None, 128)
    assert list(found.warnings()) == []
    assert found.repeated == 0


def test_tokens_are_counted_before_anything_is_cut() -> None:
    counts = {"fit": np.arange(1, 81), "test": np.arange(81, 101)}
    found = card.card(rows(), counts, 90).lengths
    assert found == card.TokenLengths(100, 50, 95, 100, 90, 0.1)
    assert "median 50, 95 % up to 95, longest 100; 10.0 % of the rows are cut at 90" in "\n".join(
        card.card(rows(), counts, 90).lines()
    )


def test_large_splits_are_counted_by_evenly_spaced_rows(monkeypatch, recwarn) -> None:  # type: ignore[no-untyped-def]
    tokenizer = mini.tokenizer()
    texts = ["the soup was good " * (1 + n) for n in range(40)]
    data = rows(fit=split(texts, [0] * 40))
    whole = card.token_counts(data, tokenizer)
    assert whole["fit"].max() > tokenizer.model_max_length
    monkeypatch.setattr(card, "MOST", 20)
    assert card.token_counts(data, tokenizer)["fit"].tolist() == whole["fit"][::2].tolist()
    assert not recwarn


def test_scores_have_a_range_instead_of_classes() -> None:
    task = own.task("mine", pair=False, labels=())
    splits = [split(["a", "b"], [1.5, -2.0]), split(["c"], [7.0]), split(["d"], [0.0])]
    found = card.card(TaskData(task, *splits[:2], {"test": splits[2]}, "x", "x"), None, 9)
    assert "labels: scores from -2 to 7" in list(found.lines())
