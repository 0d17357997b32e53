"""Which texts need no neighbours: those whose student is sure enough of its own class.

The *margin* of a text is the student's largest probability minus its second largest. Texts with a
margin above a threshold are answered by the student alone: nothing is searched, and their
probabilities are the student's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reaugkd.errors import UnknownNameError, UserError
from reaugkd.retrieval.normalise import SUM_TOLERANCE

NEVER, LOSSLESS, RISK = "never", "lossless", "risk"
DELTA = 0.05
"""Chance that a threshold of ``risk`` does not hold what it promises, unless another is given."""

ROUNDING = 1e-6
"""Closer than this, two float32 probabilities or margins may be in the other order."""

GRID = 1.0 - 10.0 ** (-np.arange(60, -1, -1) / 10)
"""Thresholds that ``risk`` tries, from 1 - 1e-6 down to 0: fixed, and fine where students are."""


def margins(student: NDArray[Any]) -> NDArray[np.float64]:
    """The margin [q] of probabilities [q, C]; NaN where they are.

    >>> margins(np.array([[0.7, 0.2, 0.1]])).round(6)
    array([0.5])

    Raises:
        UserError: for scores (C = 1), which have none.
    """
    require_classes(student.shape[1])
    highest = -np.partition(-student.astype(np.float64), 1, axis=1)[:, :2]
    result: NDArray[np.float64] = highest[:, 0] - highest[:, 1]
    result[np.isnan(student).any(axis=1)] = np.nan
    return result


def require_classes(outputs: int) -> None:
    """Raise :class:`UserError` where there is one output: a score has no margin to skip by."""
    if outputs == 1:
        raise UserError(
            "a regression cannot skip retrieval: a score has no margin that tells how sure the "
            "student is, and any neighbour changes it; use skip 'never'"
        )


def require_threshold(threshold: float, outputs: int) -> None:
    """Raise :class:`UserError` for a margin that is none, or one that skips scores."""
    if not threshold >= 0.0:
        raise UserError(f"skip_above must be a margin from 0 on, or inf, got {threshold}")
    if threshold < math.inf:
        require_classes(outputs)


def lossless(beta: float) -> float:
    """The margin above which no neighbours can change the class, inf where none is enough.

    Let s be the student's probabilities, r the retrieved ones and a the student's class. For any
    other class b the mixture m = (1 - beta) s + beta r has

        m_a - m_b = (1 - beta) (s_a - s_b) + beta (r_a - r_b) >= (1 - beta) margin - beta,

    as s_a - s_b is at least the margin, and r_a - r_b at least -1: r is a mean of distributions. So
    for margin > beta / (1 - beta), which only beta < 1/2 allows, a stays the only largest class,
    whatever the neighbours, their number and their weights. It is tight: a neighbour that is all b
    reverses any smaller margin.

    Numbers are not exact: rows of a knowledge base sum to 1 within :data:`SUM_TOLERANCE`, so r_b
    may be that much above 1, and float32 rounds mixture and student by less than 1e-7 each, which
    could make a tie of a lead. The threshold is that of

        (1 - beta) margin > beta (1 + SUM_TOLERANCE) + ROUNDING.
    """
    if beta == 0.0:
        return 0.0
    if beta >= 0.5:
        return math.inf
    threshold = (beta * (1.0 + SUM_TOLERANCE) + ROUNDING) / (1.0 - beta)
    return threshold if threshold < 1.0 else math.inf


def risk(margins: ArrayLike, differs: ArrayLike, eps: float, delta: float = DELTA) -> float:
    """The lowest threshold at which at most ``eps`` of all answers differ, inf if none is proved.

    ``margins`` [q] are the student's on rows that were not trained on, ``differs`` [q] whether its
    own class there is another than the mixture's. An answer counts as different if it is skipped
    and differs: of all answers, not of those skipped.

    Fixed-sequence testing of Learn then Test (Angelopoulos, Bates, Candes, Jordan and Lei 2021):
    the thresholds of :data:`GRID` are tested from the highest, which skips least, downwards, each
    for "more than ``eps`` of the answers differ", at level ``delta`` by the exact binomial test,
    that is, by the upper bound of Clopper and Pearson; the first that is not rejected ends it.
    A threshold is passed wrongly only if the first false hypothesis of the sequence is rejected,
    whose chance is at most ``delta``, without a correction for their number. That needs a sequence
    that does not depend on these rows, which is why the grid is fixed. With chance 1 - ``delta``
    the returned threshold therefore holds for further rows of the same kind. (It is one setting of
    k, beta and tau that is tested; where it was chosen on the same rows, the chance is that of rows
    which had no say in the choice only approximately.)

    Raises:
        UserError: unless 0 < eps < 1 and 0 < delta < 1.
    """
    _require_shares(eps, delta)
    sure, other = np.asarray(margins, dtype=np.float64), np.asarray(differs, dtype=bool)
    different = (other & (sure > GRID[:, None])).sum(axis=1)
    passed = np.logical_and.accumulate(_proved(different, len(sure), eps, delta))
    return float(GRID[passed][-1]) if passed[0] else math.inf


def _proved(
    different: NDArray[np.int64], answers: int, eps: float, delta: float
) -> NDArray[np.bool_]:
    """Whether the binomial test rejects, at level ``delta``, that more than ``eps`` differ."""
    from scipy.special import bdtr  # the cumulated binomial distribution

    if not answers:
        return np.zeros(different.shape, bool)
    rejected: NDArray[np.bool_] = bdtr(different, answers, eps) <= delta
    return rejected


def _require_shares(eps: float, delta: float) -> None:
    for name, share in (("the risk", eps), ("its delta", delta)):
        if not 0.0 < share < 1.0:
            raise UserError(f"{name} must be above 0 and below 1, got {share:g}")


@dataclass(frozen=True)
class SkipRule:
    """When a student answers without neighbours; its text is what :func:`parse` reads.

    Attributes:
        kind: ``never``, ``lossless`` or ``risk``.
        eps: of ``risk``, the share of all answers that may differ from always asking.
        delta: of ``risk``, the chance that they are more.
    """

    kind: str = NEVER
    eps: float = 0.0
    delta: float = DELTA

    def __str__(self) -> str:
        if self.kind != RISK:
            return self.kind
        return f"{RISK}:{self.eps!r}" + ("" if self.delta == DELTA else f"@{self.delta!r}")

    def require_classes(self, outputs: int) -> None:
        """Raise :class:`UserError` if it skips, and there is one output: see the function."""
        if self.kind != NEVER:
            require_classes(outputs)

    def threshold(self, beta: float, margins: ArrayLike, differs: ArrayLike) -> float:
        """The margin above which nothing is asked, inf to ask always.

        ``margins`` and ``differs`` [q] of held-out rows are as in :func:`risk` and decide nothing
        else.
        """
        if self.kind == RISK:
            return risk(margins, differs, self.eps, self.delta)
        return lossless(beta) if self.kind == LOSSLESS else math.inf


def parse(text: str) -> SkipRule:
    """Read ``never``, ``lossless``, ``risk:EPS`` or ``risk:EPS@DELTA``; shares may be percent.

    >>> str(parse("risk:1%@0.05")), parse("risk: 0.01 @ 10%")
    ('risk:0.01', SkipRule(kind='risk', eps=0.01, delta=0.1))

    Raises:
        UserError: for another rule (with the nearest one), or for shares that are none.
    """
    kind, colon, shares = text.partition(":")
    kind = kind.strip().lower()
    if kind not in (NEVER, LOSSLESS, RISK):
        raise UnknownNameError("skip rule", text, (NEVER, LOSSLESS, f"{RISK}:EPS"))
    if bool(colon) != (kind == RISK):
        raise UserError(
            f"skip '{text}': a risk needs the share of answers that may differ, e.g. risk:0.01"
            if kind == RISK
            else f"skip '{text}': '{kind}' takes no number"
        )
    if kind != RISK:
        return SkipRule(kind)
    eps, at, delta = shares.partition("@")
    try:
        rule = SkipRule(RISK, _share(eps), _share(delta) if at else DELTA)
        _require_shares(rule.eps, rule.delta)
    except (ValueError, UserError) as error:
        raise UserError(
            f"skip '{text}': expected risk:EPS or risk:EPS@DELTA with shares above 0 and below 1, "
            "e.g. risk:0.01@0.05 or risk:1%"
        ) from error
    return rule


def _share(text: str) -> float:
    """A share from its text, ``0.01`` or ``1%``."""
    number = text.strip()
    return float(f"{number[:-1]}e-2") if number.endswith("%") else float(number)
