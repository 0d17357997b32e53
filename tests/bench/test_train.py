"""``RetrievalAugmentedClassifier.train``: texts in memory give what ``bench run`` gives."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from bench import train
from reaugkd.errors import UserError
from reaugkd.retrieval.classifier import RetrievalAugmentedClassifier
from tests.bench import runs
from tests.bench import test_own_run as own_run

TEXTS = [row[1] for row in own_run.rows("classes")][:300]
LABELS = [row[-1] for row in own_run.rows("classes")][:300]


def quick(folder: Path) -> dict[str, Any]:
    """Settings of a teacher and a student that take seconds; the model lies below ``folder``."""
    if not (folder / "model").exists():
        own_run.checkpoints.write(folder / "model")
    recipe = {"epochs": 1, "learning_rate": 3e-3, "precision": "fp32"}
    return {
        "teacher": str(folder / "model"),
        "student": "pretrained@0",
        "cache": folder / "cache",
        "settings": {
            "teacher": {"recipe": recipe, "floor": "none"},
            "student": {"recipe": recipe},
            "data": {"max_length": 48},
            "retrieval": {"k": [1, 4]},
        },
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("train")


@pytest.fixture(scope="module")
def trained(place: Path) -> RetrievalAugmentedClassifier:
    return RetrievalAugmentedClassifier.train(TEXTS, LABELS, **quick(place))


def test_it_knows_the_classes_and_answers(trained: RetrievalAugmentedClassifier) -> None:
    assert trained.labels == ("a bad one", "good; great")
    assert trained.pair is False
    answer = trained.predict(TEXTS[:20])
    assert set(answer.labels) <= set(trained.labels)
    np.testing.assert_allclose(answer.probabilities.sum(axis=1), 1, atol=1e-6)


def test_its_card_tells_of_rows_and_models_but_not_where_they_lie(
    trained: RetrievalAugmentedClassifier, place: Path, tmp_path: Path
) -> None:
    known = trained.facts
    assert known is not None
    assert known.rows == {"fit": 150, "held_out": 150}
    trained.save_pretrained(tmp_path)
    written = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "| data | texts in memory; 150 fit, 150 held_out |" in written
    assert "| teacher | model |" in written
    assert "which flatters retrieval" in written
    assert str(place) not in written


HELD_OUT = TEXTS[:60], LABELS[:60]


@pytest.fixture(scope="module")
def chosen_on_given_rows(place: Path) -> RetrievalAugmentedClassifier:
    return RetrievalAugmentedClassifier.train(
        TEXTS[60:], LABELS[60:], held_out=HELD_OUT, **quick(place)
    )


def test_a_run_of_the_same_rows_is_the_same_cell(
    chosen_on_given_rows: RetrievalAugmentedClassifier,
    place: Path,
    tmp_path: Path,
    nothing_trains: None,
) -> None:
    for name, texts, labels in (("train", TEXTS[60:], LABELS[60:]), ("test", *HELD_OUT)):
        with (tmp_path / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *zip(texts, labels, strict=True)])
    given, test = quick(place), tmp_path / "test.csv"
    rows = ["--train", tmp_path / "train.csv", "--held-out", test, "--test", test]
    columns = ["--text", "text", "--label", "label", "--name", "texts"]
    models = ["--teacher", given["teacher"], "--student", given["student"]]
    recipe = [
        f"{who}.recipe.{name}={value}"
        for who in ("teacher", "student")
        for name, value in (("epochs", 1), ("learning_rate", 3e-3))
    ]
    more = [*recipe, "teacher.floor=none", "data.max_length=48"]
    sets = [word for setting in more for word in ("--set", setting)]
    places = ["--cache", given["cache"], "--out", tmp_path / "out", "--k", "1,4"]
    done = runs.bench(
        "run", *rows, *columns, *models, *sets, *places, "--methods", "reaugkd", "--ann", "exact"
    )
    assert done.exit_code == 0, done.output
    record = runs.records(tmp_path / "out")["reaugkd exact projected soft"].retrieval
    assert record is not None
    ours = chosen_on_given_rows
    assert (ours.k, ours.tau, ours.beta) == (record.chosen.k, record.chosen.tau, record.chosen.beta)
    right = ours.predict(HELD_OUT[0]).labels == np.array(HELD_OUT[1])
    assert right.mean() == pytest.approx(record.chosen.scores["test"]["accuracy"])


@pytest.mark.parametrize(
    "held",
    [
        pytest.param(
            lambda values: pd.Series(values, index=range(9, 9 + len(values))), id="pandas"
        ),
        pytest.param(np.array, id="numpy"),
        pytest.param(pa.array, id="pyarrow"),
        pytest.param(iter, id="iterator"),
    ],
)
def test_whatever_holds_texts_and_labels_they_are_the_same(
    trained: RetrievalAugmentedClassifier, held: Any, place: Path, nothing_trains: None
) -> None:
    again = RetrievalAugmentedClassifier.train(held(TEXTS), held(LABELS), **quick(place))
    ours, theirs = (one.predict(TEXTS[:9]).probabilities for one in (trained, again))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.usefixtures("trained", "nothing_trains")
def test_another_knowledge_base_needs_no_training(place: Path) -> None:
    few = RetrievalAugmentedClassifier.train(
        TEXTS, LABELS, condense="random:8", ann="hnswlib", keep_texts=True, **quick(place)
    )
    assert few.texts == {number: (TEXTS[number],) for number in few.knowledge_base.ids.tolist()}
    assert (len(few.knowledge_base), few.index.name) == (8, "hnswlib")


@pytest.mark.usefixtures("trained")
def test_the_number_of_threads_is_left_as_it_was(place: Path) -> None:
    before = torch.get_num_threads()
    RetrievalAugmentedClassifier.train(TEXTS, LABELS, threads=before + 1, **quick(place))
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("texts", "labels", "more", "message"),
    [
        ([], [], {}, "no texts, at least two are needed"),
        (["a", "b"], [1], {}, "2 texts, but 1 labels"),
        ("good", [1], {}, "not one string: put it into a list"),
        (["a", 7], [0, 1], {}, "text 1 is 7 (int), expected a string"),
        (["a", "b"], [0, None], {}, "labels, row 2: no label"),
        (["a", "b"], {0, 1}, {}, "expected a sequence of labels, a set has no order"),
        (["a", "b"], ["x", "x"], {}, "one class only, 'x'"),
        (["a", "b"], [0, 1], {"held_out": ([("a", "b")], [0])}, "held_out: texts are"),
        (["a", "b"], [0, 1], {"method": "kdd"}, "unknown method 'kdd': did you mean 'kd'?"),
        (["a", "b"], [0, 1], {"ann": "faisss"}, "did you mean 'faiss'?"),
        (["a", "b"], [0, 1], {"settings": {"sead": 1}}, "unknown setting 'sead'"),
        (
            TEXTS,
            LABELS,
            {"settings": {"data": {"max_length": 48}, "retrieval": {"pca": ["none", 4]}}},
            "one value of each",
        ),
    ],
)
def test_a_mistake_is_told_in_one_line(
    texts: Any, labels: Any, more: dict[str, Any], message: str, place: Path, nothing_trains: None
) -> None:
    with pytest.raises(UserError) as told:
        RetrievalAugmentedClassifier.train(texts, labels, **{**quick(place), **more})
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_a_teacher_that_learns_nothing_is_told(place: Path) -> None:
    given = quick(place)
    given["settings"] = {
        **given["settings"],
        "teacher": {"recipe": {"epochs": 1}, "floor_margin": 1},
    }
    with pytest.raises(train.TrainingError, match="floor"):
        RetrievalAugmentedClassifier.train(TEXTS[:50], LABELS[:50], **given)
