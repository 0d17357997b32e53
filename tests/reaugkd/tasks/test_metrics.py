"""Metrics equal scikit-learn and scipy, and are numbers where those are not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sklearn

from reaugkd.errors import UnknownNameError, UserError
from reaugkd.tasks import TASKS, get_task, metrics, own

binary = st.integers(1, 60).flatmap(
    lambda n: st.tuples(*[arrays(np.int64, n, elements=st.integers(0, 1))] * 2)
)
scores = st.integers(3, 60).flatmap(
    lambda n: st.tuples(*[arrays(np.float32, n, elements=st.integers(-50, 50), unique=True)] * 2)
)


@given(binary)
def test_class_metrics_equal_their_definitions(pair):
    predicted, labels = pair
    both = ((predicted == 1) & (labels == 1)).sum()
    ones = (predicted == 1).sum() + (labels == 1).sum()
    found = metrics.score(["accuracy", "f1", "matthews"], predicted, labels)
    assert found["accuracy"] == pytest.approx((predicted == labels).mean())
    assert found["f1"] == pytest.approx(2 * both / ones if ones else 0)
    constant = len(set(predicted)) == 1 or len(set(labels)) == 1
    expected = 0 if constant else np.corrcoef(predicted, labels)[0, 1]
    assert found["matthews"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", ["pearson", "spearman"])
@pytest.mark.parametrize(
    ("predicted", "labels"), [([2.0, 2.0], [1.0, 3.0]), ([1.0, 3.0], [2.0, 2.0]), ([1.0], [1.0])]
)
def test_the_correlation_of_a_constant_is_0_with_a_warning(name, predicted, labels):
    with pytest.warns(UserWarning, match=f"{name} of constant scores"):
        assert metrics.score([name], predicted, labels) == {name: 0.0}


def test_one_class_predictions_have_matthews_0_without_a_warning(recwarn):
    assert metrics.score(["matthews"], [1, 1, 1], [0, 1, 1]) == {"matthews": 0.0}
    assert metrics.score(["matthews"], [1, 1, 1], [1, 1, 1]) == {"matthews": 0.0}
    assert not recwarn


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_predictions_that_are_no_numbers_are_refused(bad):
    with pytest.raises(UserError, match="1 of 2 model outputs are NaN or infinite"):
        metrics.score(["pearson"], [bad, 1.0], [1.0, 2.0])
    with pytest.raises(UserError, match="1 of 4 model outputs"):
        metrics.predictions(get_task("rte"), [[0.0, bad], [1.0, 0.0]])


def test_bad_calls_are_refused():
    with pytest.raises(UserError, match="no rows"):
        metrics.score(["accuracy"], [], [])
    with pytest.raises(UnknownNameError, match="did you mean 'accuracy'"):
        metrics.score(["acuracy"], [1], [1])
    with pytest.raises(ValueError, match=r"\(2,\) and labels \(3,\)"):
        metrics.score(["accuracy"], [1, 0], [1, 0, 1])
    with pytest.raises(ValueError, match=r"must be \[n, 2\]"):
        metrics.predictions(get_task("rte"), [[1.0, 2.0, 3.0]])


def test_predictions_are_the_largest_class_or_the_score():
    assert metrics.predictions(get_task("rte"), [[0.0, 1.0], [2.0, 1.0]]).tolist() == [1, 0]
    assert metrics.predictions(get_task("stsb"), [[0.5], [4.0]]).tolist() == [0.5, 4.0]


@pytest.mark.parametrize("name", TASKS)
def test_the_majority_is_the_score_of_a_constant(name, recwarn):
    task = TASKS[name]
    if task.regression:
        assert metrics.majority(task, [1.0, 2.0], [1.0, 2.0]) == {"pearson": 0.0, "spearman": 0.0}
    else:
        found = metrics.majority(task, [1, 1, 0], [1, 0, 0, 1, 1])
        assert found == metrics.score(task.metrics, [1] * 5, [1, 0, 0, 1, 1])
    assert not recwarn


def test_the_standard_error_of_an_accuracy_is_that_of_a_mean():
    hits = np.array([1] * 70 + [0] * 30)
    expected = hits.std() / np.sqrt(100)
    assert metrics.accuracy_standard_error(0.7, 100) == pytest.approx(expected)


CLASSES = own.task("mine", pair=False, labels=tuple("abcd"))
SCORES = own.task("mine", pair=False, labels=())


def outputs(rows: int = 200, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(classes)
    labels = random.integers(0, classes, rows)
    logits = random.normal(size=(rows, classes)) + 2 * np.eye(classes)[labels]
    return logits.astype(np.float32), labels


def test_metrics_of_many_classes_equal_scikit_learns():
    logits, labels = outputs()
    task = metrics.choose(
        CLASSES,
        [
            "balanced_accuracy",
            "f1_macro",
            "f1_weighted",
            "accuracy",
            "matthews",
            "auroc",
            "log_loss",
        ],
    )
    p = np.exp(logits.astype(float)) / np.exp(logits.astype(float)).sum(axis=1, keepdims=True)
    said = p.argmax(axis=1)
    expected = {
        "balanced_accuracy": sklearn.balanced_accuracy_score(labels, said),
        "f1_macro": sklearn.f1_score(labels, said, average="macro"),
        "f1_weighted": sklearn.f1_score(labels, said, average="weighted"),
        "accuracy": sklearn.accuracy_score(labels, said),
        "matthews": sklearn.matthews_corrcoef(labels, said),
        "auroc": sklearn.roc_auc_score(labels, p, multi_class="ovr"),
        "log_loss": sklearn.log_loss(labels, p),
    }
    found = metrics.of_logits(task, logits, labels)
    assert list(found) == list(expected)
    assert found == pytest.approx(expected)
    assert metrics.of_probabilities(task, p.astype(np.float32), labels) == pytest.approx(expected)


def test_errors_of_scores_are_their_definitions():
    given, labels = np.array([[1.0], [4.0], [2.5]]), np.array([2.0, 2.0, 2.0])
    task = metrics.choose(SCORES, ["pearson", "mae", "rmse"])
    with pytest.warns(metrics.ConstantScoresWarning):
        found = metrics.of_logits(task, given, labels)
    assert found == pytest.approx({"pearson": 0, "mae": 3.5 / 3, "rmse": (5.25 / 3) ** 0.5})
    constant = metrics.majority(task, [1.0, 3.0], labels)
    assert constant == {"pearson": 0.0, "mae": 0.0, "rmse": 0.0}


def test_calibration_is_the_gap_of_confidence_and_accuracy():
    labels = np.array([0] * 8 + [1] * 2)
    sure = np.tile([0.8, 0.2], (10, 1))
    assert metrics.ece(sure, labels) == pytest.approx(0)  # 80 % sure and right
    assert metrics.ece(np.tile([1.0, 0.0], (10, 1)), labels) == pytest.approx(0.2)
    halves = np.array([[0.95, 0.05]] * 5 + [[0.6, 0.4]] * 5)  # two bins: all right, three of five
    assert metrics.ece(halves, labels) == pytest.approx((0.05 + 0) / 2)


@pytest.mark.parametrize("logits", [[[1.0, 0.0]], [[0.0, 1.0]]])
def test_probabilistic_metrics_are_numbers_where_they_are_not_defined(logits, recwarn):
    task = metrics.choose(get_task("rte"), ["accuracy", "auroc", "log_loss", "ece"])
    found = metrics.of_logits(task, logits, [0])
    assert found["auroc"] == 0.5
    assert all(np.isfinite(list(found.values())))
    assert metrics.of_probabilities(task, [[0.0, 1.0]], [0])["log_loss"] < 40
    assert not recwarn


def test_the_probabilities_of_the_majority_are_the_shares_of_the_classes():
    task = metrics.choose(get_task("rte"), ["accuracy", "log_loss", "auroc"])
    found = metrics.majority(task, [0, 0, 0, 1], [0, 1])
    expected = {"accuracy": 0.5, "log_loss": -np.log([0.75, 0.25]).mean(), "auroc": 0.5}
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("task", "names", "words"),
    [
        (CLASSES, ["acuracy"], "did you mean 'accuracy'"),
        (CLASSES, ["f1"], "of two classes, mine has 4: take f1_macro"),
        (CLASSES, ["accuracy", "mae"], "'mae' is not of classes"),
        (SCORES, ["accuracy"], "'accuracy' is not of scores"),
        (CLASSES, ["log_loss", "accuracy"], "'log_loss' cannot come first: .* lower is better"),
        (CLASSES, ["auroc"], "'auroc' cannot come first: .* needs probabilities; .* accuracy,"),
        (SCORES, ["mae"], "lower is better; first comes one of pearson, spearman$"),
    ],
)
def test_a_metric_that_does_not_fit_is_refused_with_those_that_do(task, names, words):
    with pytest.raises(UserError, match=words):
        metrics.choose(task, names)


def test_another_metric_that_chooses_is_told_apart():
    assert metrics.choose(CLASSES, ["accuracy", "ece"]).chosen is False
    assert metrics.choose(CLASSES, ["f1_macro"]).chosen is True
    assert metrics.choose(CLASSES, ["f1_macro"]).select_on == "f1_macro"
