"""Losses of final outputs, and the temperature: closed forms and how it moves with the logits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss, mean_squared_error

from reaugkd.retrieval import calibration
from reaugkd.retrieval.mixing import probabilities

RANDOM = np.random.default_rng(0)


def truthful(n: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels that were drawn from their softmax."""
    logits = RANDOM.normal(size=(n, classes), scale=2)
    draws = RANDOM.random((n, 1))
    return logits, (draws > probabilities(logits).cumsum(axis=1)).sum(axis=1)


def test_losses_are_those_of_scikit_learn() -> None:
    logits, labels = truthful(200)
    likely = probabilities(logits)
    expected = log_loss(labels, likely)
    assert calibration.loss(likely, labels) == {"nll": pytest.approx(expected, rel=1e-12)}
    scores, truth = RANDOM.normal(size=50), RANDOM.normal(size=50)
    found = calibration.loss(scores[:, None], truth)
    assert found == {"mse": pytest.approx(mean_squared_error(truth, scores), rel=1e-12)}


def test_a_label_that_was_ruled_out_costs_much_but_not_everything() -> None:
    found = calibration.loss([[1.0, 0.0]], [1])["nll"]
    assert found == pytest.approx(-math.log(calibration.LEAST))


def test_what_is_calibrated_needs_no_temperature() -> None:
    assert calibration.fit_temperature(*truthful(40_000)) == pytest.approx(1.0, abs=0.02)


@given(st.floats(0.2, 5))
def test_the_temperature_grows_with_the_logits(scale: float) -> None:
    logits, labels = truthful(300)
    first = calibration.fit_temperature(logits, labels)
    scaled = calibration.fit_temperature(scale * logits, labels)
    assert scaled == pytest.approx(scale * first, rel=1e-5)


@given(st.floats(0.6, 0.95))
def test_two_classes_of_one_confidence_have_a_closed_form(share: float) -> None:
    """p(right) = share where 1 / (1 + exp(-3 / T)) = share."""
    right = round(1000 * share)
    labels = np.array([0] * right + [1] * (1000 - right))
    found = calibration.fit_temperature(np.tile([3.0, 0.0], (1000, 1)), labels)
    assert found == pytest.approx(3 / math.log(right / (1000 - right)), rel=1e-5)


def test_no_temperature_is_better_and_no_class_changes() -> None:
    logits, labels = truthful(500)
    best = calibration.fit_temperature(3 * logits, labels)

    def nll(temperature: float) -> float:
        return calibration.loss(calibration.scaled(3 * logits, temperature), labels)["nll"]

    assert nll(best) <= min(map(nll, (*np.geomspace(0.1, 20, 60), 1.0)))
    assert np.array_equal(calibration.scaled(logits, best).argmax(1), logits.argmax(1))


def test_temperature_one_is_the_student_bit_for_bit() -> None:
    logits = truthful(50)[0].astype(np.float32)
    found = calibration.scaled(logits, 1.0)
    assert found.dtype == np.float32
    assert np.array_equal(found, probabilities(logits))


def test_useless_logits_end_at_the_hottest() -> None:
    labels = np.array([0, 1] * 50)
    found = calibration.fit_temperature(np.tile([9.0, 0.0], (100, 1)), labels)
    assert found == pytest.approx(calibration.HOTTEST, rel=1e-3)
