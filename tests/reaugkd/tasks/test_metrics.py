"""Metrics equal scikit-learn and scipy, and are numbers where those are not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reaugkd.errors import UnknownNameError, UserError
from reaugkd.tasks import TASKS, get_task, metrics

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
