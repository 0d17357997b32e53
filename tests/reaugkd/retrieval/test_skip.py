"""Skipping: what is lossless changes no class, and a risk is kept as often as it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta as beta_distribution
from scipy.stats import binom

from reaugkd.errors import UnknownNameError, UserError
from reaugkd.retrieval import mixing, skip
from reaugkd.retrieval.normalise import SUM_TOLERANCE


@settings(max_examples=200)
@given(
    classes=st.integers(2, 50),
    beta=st.floats(0.0, 0.499),
    seed=st.integers(0, 10**6),
    tau=st.sampled_from([0.01, 0.1, 1.0]),
    sharp=st.sampled_from([0.05, 0.3, 1.0]),
    scale=st.sampled_from([1.0 - 0.9 * SUM_TOLERANCE, 1.0, 1.0 + 0.9 * SUM_TOLERANCE]),
)
def test_lossless_never_changes_a_class(
    classes: int, beta: float, seed: int, tau: float, sharp: float, scale: float
) -> None:
    """Random neighbours, and those that contradict the student most; near the threshold too."""
    random = np.random.default_rng(seed)
    student = random.dirichlet(np.full(classes, sharp), 60)
    threshold = skip.lossless(beta)
    # Some rows are moved to just above the threshold: two classes share what there is.
    student[:20] = 0.0
    just_above = min(1.0, threshold + 1e-7)
    student[:20, 0], student[:20, 1] = (1 + just_above) / 2, (1 - just_above) / 2
    student = random.permuted(student, axis=1).astype(np.float32)
    values = scale * random.dirichlet(np.full(classes, sharp), 30)
    values[:classes] = scale * np.eye(classes)[: len(values)]
    ids = random.integers(0, len(values), (60, 4))
    second = np.argsort(student, axis=1)[:, -2]
    ids[::2] = np.minimum(second, len(values) - 1)[::2, None]
    cosines = np.sort(random.uniform(-1, 1, (60, 4)), axis=1)[:, ::-1]
    mixed = mixing.augment(student, cosines, ids, values.astype(np.float32), tau, beta)
    skipped = skip.margins(student) > threshold
    np.testing.assert_array_equal(mixed.argmax(axis=1)[skipped], student.argmax(axis=1)[skipped])


def test_lossless_is_tight_and_has_no_margin_from_one_half_on() -> None:
    beta = 0.3
    threshold = skip.lossless(beta)
    assert threshold == pytest.approx(beta / (1 - beta), rel=2e-3)
    margin = beta / (1 - beta) - 1e-3
    student = np.array([[(1 + margin) / 2, (1 - margin) / 2]])
    mixed = mixing.augment(student, [[1.0]], np.array([[0]]), np.array([[0.0, 1.0]]), 0.1, beta)
    assert mixed.argmax() == 1
    assert skip.lossless(0.0) == 0.0
    assert skip.lossless(0.5) == skip.lossless(1.0) == skip.lossless(0.4999) == math.inf
    thresholds = [skip.lossless(step / 100) for step in range(51)]
    assert thresholds == sorted(thresholds)


def test_margins() -> None:
    student = np.array([[0.2, 0.5, 0.3], [0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [np.nan, 0.1, 0.9]])
    np.testing.assert_allclose(skip.margins(student), [0.2, 0.0, 1.0, np.nan], atol=1e-12)
    with pytest.raises(
        UserError, match="a regression cannot skip retrieval: a score has no margin"
    ):
        skip.margins(np.ones((3, 1)))


def draws(random: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Margins, and answers that differ the more often the smaller the margin is."""
    margins = random.beta(3.0, 1.0, rows)
    return margins, random.random(rows) < 0.3 * (1.0 - margins)


def test_risk_holds_its_bound_in_500_draws() -> None:
    """The true risk of a threshold is that of 100,000 further rows."""
    random, eps, delta = np.random.default_rng(0), 0.03, 0.1
    margins, differs = draws(random, 100_000)
    order = margins.argsort()
    above = np.cumsum(differs[order][::-1])[::-1] / len(margins)

    def truth(threshold: float) -> float:
        first = np.searchsorted(margins[order], threshold, side="right")
        return float(above[first]) if first < len(margins) else 0.0

    thresholds = [skip.risk(*draws(random, 300), eps, delta) for _ in range(500)]
    violations = sum(truth(threshold) > eps for threshold in thresholds)
    assert violations <= binom.ppf(0.999, 500, delta)
    assert violations > 0  # it is not so careful as to be useless
    assert np.mean([np.mean(margins > threshold) for threshold in thresholds]) > 0.3


def test_the_binomial_test_is_the_bound_of_clopper_and_pearson() -> None:
    different = np.arange(0, 30, 3)
    for answers in (100, 999):
        for number, upper in enumerate(
            beta_distribution.ppf(0.95, different + 1, answers - different)
        ):
            assert skip._proved(different, answers, upper + 1e-9, 0.05)[number]
            assert not skip._proved(different, answers, upper - 1e-9, 0.05)[number]


def test_a_threshold_that_nothing_proves_asks_always() -> None:
    few = np.ones(50), np.zeros(50, bool)  # 0.99^50 = 0.6 : too few rows to tell 1 %
    assert skip.risk(*few, eps=0.01) == math.inf
    assert skip.risk([], [], eps=0.5) == math.inf
    surely_different = np.full(1000, 0.9999999), np.ones(1000, bool)
    assert skip.risk(*surely_different, eps=0.1) == math.inf
    never_different = np.linspace(0, 1, 1000), np.zeros(1000, bool)
    assert skip.risk(*never_different, eps=0.01) == 0.0


def test_more_risk_skips_no_less_and_a_difference_no_more() -> None:
    margins, differs = draws(np.random.default_rng(1), 2000)
    by_eps = [skip.risk(margins, differs, eps) for eps in (0.002, 0.01, 0.02, 0.05, 0.2)]
    assert by_eps == sorted(by_eps, reverse=True)
    assert by_eps[1] < by_eps[0]
    by_delta = [skip.risk(margins, differs, 0.02, delta) for delta in (0.001, 0.05, 0.5)]
    assert by_delta == sorted(by_delta, reverse=True)
    more = differs | (np.arange(2000) % 50 == 0)
    assert skip.risk(margins, more, 0.05) >= by_eps[3]


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("never", "never"),
        (" Lossless ", "lossless"),
        ("risk:0.01", "risk:0.01"),
        ("risk:1%@0.05", "risk:0.01"),
        ("RISK:0.7%@1%", "risk:0.007@0.01"),
        ("risk:1e-3", "risk:0.001"),
    ],
)
def test_a_rule_is_read_and_written_in_one_way(text: str, canonical: str) -> None:
    rule = skip.parse(text)
    assert str(rule) == canonical
    assert skip.parse(str(rule)) == rule


@pytest.mark.parametrize(
    "text",
    ["risk:0", "risk:1", "risk:x", "risk:", "risk:0.1@", "risk:0.1@2", "risk:nan", "risk:100%"],
)
def test_shares_that_are_none_are_told_with_what_is_allowed(text: str) -> None:
    with pytest.raises(UserError, match=f"skip '{text}': expected risk:EPS or risk:EPS@DELTA"):
        skip.parse(text)


def test_rules_that_are_none_are_told_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="skip rule 'losless': did you mean 'lossless'"):
        skip.parse("losless")
    with pytest.raises(UserError, match="a risk needs the share"):
        skip.parse("risk")
    with pytest.raises(UserError, match="'never' takes no number"):
        skip.parse("never:3")


def test_a_rule_knows_its_threshold_and_what_it_cannot_do() -> None:
    margins, differs = draws(np.random.default_rng(1), 2000)
    given_ = 0.3, margins, differs
    assert skip.parse("never").threshold(*given_) == math.inf
    assert skip.parse("lossless").threshold(*given_) == skip.lossless(0.3)
    expected = skip.risk(margins, differs, 0.02, 0.1)
    assert skip.parse("risk:2%@10%").threshold(*given_) == expected
    skip.parse("never").require_classes(1)
    for rule in ("lossless", "risk:0.01"):
        skip.parse(rule).require_classes(2)
        with pytest.raises(UserError, match="a regression cannot skip retrieval"):
            skip.parse(rule).require_classes(1)
    for eps, delta in ((0.0, 0.1), (0.1, 1.0)):
        with pytest.raises(UserError, match="must be above 0 and below 1"):
            skip.risk(margins, differs, eps, delta)
