"""Metrics on resamples: each equals the metric of the repeated rows, and costs no repeated row."""

from __future__ import annotations

import tracemalloc
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.stats import bootstrap as module
from bench.stats.bootstrap import METRICS, chunks, counts, observed, replicates, resampled
from reaugkd.errors import UnknownNameError, UserError
from reaugkd.tasks import metrics

CLASSES = {
    "accuracy": 3,
    "balanced_accuracy": 3,
    "f1": 2,
    "f1_macro": 3,
    "f1_weighted": 3,
    "matthews": 3,
}


def students(metric: str, examples: int, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Predictions [7, N] of ordinary and degenerate students, and labels [N]."""
    random = np.random.default_rng([seed, examples])
    if metric in CLASSES:
        labels = random.integers(0, CLASSES[metric], examples)
        given = random.integers(0, CLASSES[metric], (4, examples))
        given[0] = labels
        constant = np.array([[0], [1]]).repeat(examples, axis=1)
        one_off = labels.copy()
        one_off[0] = 1 - min(1, labels[0])
        return np.concatenate([given, constant, one_off[None]]), labels
    labels = random.integers(0, 6, examples) / 2.0  # STS-B's labels have many ties
    given = random.normal(size=(4, examples)).astype(np.float32) + labels.astype(np.float32)
    given[1] = np.round(given[1])
    given[2] = 1e6 + 1e-2 * given[2]  # a small spread far from zero
    outlier = np.zeros(examples, np.float32)
    outlier[0] = 1e8
    constant = np.full((1, examples), 0.3, np.float32)
    return np.concatenate(
        [given, constant, outlier[None], -labels[None].astype(np.float32)]
    ), labels


def repeated(metric: str, given: NDArray[Any], labels: NDArray[Any], drawn: Any) -> NDArray[Any]:
    """The metric [R, M] of the rows written out as often as they were drawn."""
    values = np.empty((len(drawn), len(given)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", metrics.ConstantScoresWarning)
        for row, times in enumerate(drawn.astype(int)):
            rows = np.repeat(np.arange(len(labels)), times)
            for column, student in enumerate(given):
                found = metrics.score([metric], student[rows], labels[rows])
                values[row, column] = found[metric]
    return values


def test_every_metric_of_the_project_can_be_resampled() -> None:
    assert METRICS.keys() == metrics.METRICS.keys()


@pytest.mark.parametrize("examples", [1, 2, 3, 7, 60])
@pytest.mark.parametrize("metric", list(METRICS))
def test_it_is_the_metric_of_the_repeated_rows(metric: str, examples: int) -> None:
    given, labels = students(metric, examples)
    drawn = counts(examples, 12, seed=examples)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = resampled(metric, given, labels, drawn)
    expected = repeated(metric, given, labels, drawn)
    np.testing.assert_allclose(found, expected, atol=1e-7)
    # The student of a small spread far from zero costs digits in either way of computing.
    exact = [column for column in range(len(given)) if metric in CLASSES or column != 2]
    np.testing.assert_allclose(found[:, exact], expected[:, exact], atol=1e-11)


@pytest.mark.parametrize("metric", list(METRICS))
def test_each_row_once_is_the_metric_itself(metric: str) -> None:
    given, labels = students(metric, 50)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", metrics.ConstantScoresWarning)
        expected = [metrics.score([metric], student, labels)[metric] for student in given]
    np.testing.assert_allclose(observed(metric, given, labels), expected, atol=1e-7)


@pytest.mark.parametrize("metric", list(METRICS))
def test_replicates_are_the_metric_of_the_counts(
    metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, labels = students(metric, 30)
    whole = resampled(metric, given, labels, counts(30, 50, seed=4))
    monkeypatch.setattr(module, "DRAWS_AT_ONCE", 7 * 30)
    found = replicates(metric, given, labels, resamples=50, seed=4)
    np.testing.assert_allclose(found, whole, atol=1e-12)


def test_counts_are_draws_with_replacement() -> None:
    drawn = counts(50, 4000)
    assert drawn.shape == (4000, 50)
    assert drawn.dtype == np.float32
    assert (drawn.sum(axis=1) == 50).all()
    assert (drawn == drawn.round()).all()
    # A multinomial's mean, variance and covariance; 6 standard errors wide.
    assert abs(drawn.mean(axis=0) - 1).max() < 6 / np.sqrt(4000)
    covariance = np.cov(drawn, rowvar=False)
    apart = covariance[~np.eye(50, dtype=bool)]
    assert abs(np.diag(covariance).mean() - (1 - 1 / 50)) < 6 * np.sqrt(3 / 4000 / 50)
    assert abs(apart.mean() + 1 / 50) < 1e-3


def test_counts_depend_on_nothing_but_their_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = counts(30, 50, seed=2)
    np.testing.assert_array_equal(counts(30, 20, seed=2), whole[:20])
    assert (counts(30, 50, seed=3) != whole).any()
    monkeypatch.setattr(module, "DRAWS_AT_ONCE", 30)
    parts = list(chunks(30, 50, seed=2))
    assert len(parts) == 50
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_the_counts_of_a_large_test_set_are_never_all_in_memory() -> None:
    labels = np.random.default_rng(0).integers(0, 2, 40_000)
    tracemalloc.start()
    try:
        found = replicates("accuracy", np.stack([labels, 1 - labels]), labels, resamples=900)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (found == [1, 0]).all()
    assert peak < 130e6 < 900 * 40_000 * 4


@pytest.mark.parametrize("share", [0.6, 0.9])
def test_sd_of_an_accuracy_over_resamples_is_the_binomial_standard_error(share: float) -> None:
    right = np.arange(277) < round(share * 277)
    found = replicates("accuracy", right[None].astype(int), np.ones(277, int), resamples=4000)
    expected = metrics.accuracy_standard_error(float(right.mean()), 277)
    assert found.std(ddof=1) == pytest.approx(expected, rel=5 / np.sqrt(2 * 4000))


def test_bad_calls_are_told() -> None:
    right, labels = np.ones((2, 4), int), np.ones(4, int)
    with pytest.raises(UnknownNameError, match="unknown metric 'acuracy': did you mean 'accuracy'"):
        replicates("acuracy", right, labels)
    with pytest.raises(UserError, match="1 of 8 predictions are NaN or infinite: cannot resample"):
        replicates("pearson", [[0.0, 1.0, np.nan, 2.0], [0.0, 1.0, 2.0, 3.0]], labels)
    with pytest.raises(UserError, match="no rows to resample"):
        replicates("accuracy", np.ones((2, 0), int), [])
    with pytest.raises(ValueError, match=r"\(4,\) must be \[M, N\]"):
        replicates("accuracy", labels, labels)
    with pytest.raises(ValueError, match=r"must be \[R, 4\] with a draw in each row"):
        resampled("accuracy", right, labels, np.zeros((3, 4)))
