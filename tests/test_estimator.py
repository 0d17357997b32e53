"""``ReAugKDClassifier`` is a classifier of scikit-learn wherever texts allow it."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator

from reaugkd import ReAugKDClassifier
from reaugkd.errors import UserError
from tests.bench.test_train import TEXTS, quick

CLASSES = np.array([3, 7])[np.arange(len(TEXTS)) % 2]
"""Numbers that are no ids; what they say of the texts is nothing."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("estimator")


def estimator(place: Path, **more: Any) -> ReAugKDClassifier:
    return ReAugKDClassifier(**{**quick(place), **more})


@pytest.fixture(scope="module")
def fitted(place: Path) -> ReAugKDClassifier:
    return estimator(place).fit(TEXTS, CLASSES)


def test_classes_are_those_of_y(fitted: ReAugKDClassifier) -> None:
    assert fitted.classes_.tolist() == [3, 7]
    predicted, probabilities = fitted.predict(TEXTS[:9]), fitted.predict_proba(TEXTS[:9])
    np.testing.assert_array_equal(predicted, fitted.classes_[probabilities.argmax(axis=1)])
    assert fitted.score(TEXTS, CLASSES) == np.mean(fitted.predict(TEXTS) == CLASSES)


@pytest.mark.parametrize(
    "held",
    [
        np.array,
        pd.Series,
        lambda texts: pd.DataFrame({"text": texts}, index=range(7, 7 + len(texts))),
        lambda texts: np.array(texts, object)[:, None],
    ],
    ids=["array", "series", "frame", "column"],
)
def test_whatever_holds_the_texts(fitted: ReAugKDClassifier, held: Any) -> None:
    np.testing.assert_array_equal(
        fitted.predict_proba(held(TEXTS[:9])), fitted.predict_proba(TEXTS[:9])
    )


def test_pairs_are_two_columns(place: Path) -> None:
    first, second = TEXTS[:80], TEXTS[80:160]
    frame = pd.DataFrame({"first": first, "second": second})
    pairs = estimator(place).fit(frame, CLASSES[:80])
    assert pairs.classifier_.pair
    np.testing.assert_array_equal(
        pairs.predict(frame), pairs.predict(list(zip(first, second, strict=True)))
    )


def test_it_is_cloned_without_what_was_learned(fitted: ReAugKDClassifier) -> None:
    other = clone(fitted)
    assert other.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        other.predict(TEXTS)


def test_it_is_searched_and_validated_and_stands_in_a_pipeline(place: Path) -> None:
    """Folds of the same texts train once: an index and a base need no other student."""
    grid = GridSearchCV(estimator(place), {"condense": ["full", "random:20"]}, cv=2, refit=False)
    grid.fit(TEXTS[:80], CLASSES[:80])
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    pipeline = make_pipeline(lower, estimator(place, condense="random:20"))
    scores = cross_val_score(pipeline, TEXTS[:80], CLASSES[:80], cv=2)
    assert scores.mean() == grid.cv_results_["mean_test_score"][1]


def test_copies_answer_alike(fitted: ReAugKDClassifier, tmp_path: Path) -> None:
    joblib.dump(fitted, tmp_path / "it.joblib")
    expected = fitted.predict_proba(TEXTS[:9])
    for copied in (copy.deepcopy(fitted), joblib.load(tmp_path / "it.joblib")):
        np.testing.assert_array_equal(copied.predict_proba(TEXTS[:9]), expected)


def test_what_scikit_learn_asks_of_every_estimator(place: Path) -> None:
    """``check_estimator`` stops at numeric tables, which are no texts; the rest is asked alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_estimator(estimator(place))
    for check in (
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_mixin_order,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_set_params,
        estimator_checks.check_valid_tag_types,
    ):
        check("ReAugKDClassifier", ReAugKDClassifier())


@pytest.mark.parametrize(
    ("texts", "classes", "message"),
    [
        (TEXTS[:4], None, "requires y to be passed"),
        (TEXTS[:4], [0.5, 1.5, 0.25, 2.0], "Unknown label type: continuous"),
        (TEXTS[:4], [1, 1, 1, 1], "y has one class only"),
        (TEXTS[:4], [1, 2, 1], "4 texts, but 3 labels"),
        (np.ones((4, 1)), [1, 2, 1, 2], "text 0 is .*expected a string"),
        (np.array([["a", "b", "c"]] * 4), [1, 2, 1, 2], "text 0 has 3 parts"),
    ],
)
def test_a_mistake_is_told(place: Path, texts: Any, classes: Any, message: str) -> None:
    with pytest.raises((ValueError, UserError, TypeError), match=message):
        estimator(place).fit(texts, classes)
