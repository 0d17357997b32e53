"""Verdicts of comparisons: values, not text to be taken apart."""

from __future__ import annotations

from enum import StrEnum
from math import floor

from bench.report.table import EMPTY
from bench.stats.difference import LEVEL, RESAMPLES, Difference

SMALLEST = 2 / (2 * RESAMPLES + 1)
"""No interval's p is below: each resample gives two of the values that it is counted from."""


class Verdict(StrEnum):
    """What a comparison says."""

    BETTER = "better"
    WORSE = "worse"
    NOT_SHOWN = "no difference shown"
    ONE_SEED = "one seed: no test"
    SAME = "same answers"
    NOT_COMPARABLE = "not comparable"


def of_test(difference: Difference | None, adjusted: float | None) -> Verdict:
    """What a difference says, given its p after Holm's correction."""
    if difference is None:
        return Verdict.NOT_COMPARABLE
    if adjusted is None:
        return Verdict.ONE_SEED
    if adjusted >= LEVEL:
        return Verdict.NOT_SHOWN
    return Verdict.BETTER if difference.estimate > 0 else Verdict.WORSE


class NonInferiority(StrEnum):
    """Whether something loses no more than a margin that was stated beforehand."""

    NON_INFERIOR = "non-inferior"
    INFERIOR = "inferior"
    UNDECIDED = "undecided"
    NOT_COMPARABLE = "not comparable"


def non_inferiority(difference: Difference | None, margin: float) -> NonInferiority:
    """What the interval of a difference says of a loss of at most ``margin``, both in shares.

    One seed has no interval, so nothing is decided.
    """
    if difference is None:
        return NonInferiority.NOT_COMPARABLE
    if difference.low is not None and difference.low >= -margin:
        return NonInferiority.NON_INFERIOR
    if difference.high is not None and difference.high < -margin:
        return NonInferiority.INFERIOR
    return NonInferiority.UNDECIDED


def in_words(outcome: Verdict, reason: str) -> str:
    """The verdict for a reader, with the reason if there is nothing to compare."""
    return f"{outcome}: {reason}" if outcome is Verdict.NOT_COMPARABLE else str(outcome)


def signed(share: float) -> str:
    """A difference in points.

    >>> signed(0.0123), signed(-0.00001)
    ('+1.23', '+0.00')
    """
    return f"{100 * share:+z.2f}"


def interval(difference: Difference) -> str:
    """The 95 % interval in points, e.g. ``[-0.40, +2.86]``."""
    if difference.low is None or difference.high is None:
        return EMPTY
    return f"[{signed(difference.low)}, {signed(difference.high)}]"


def marked(difference: Difference, adjusted: float | None) -> str:
    """The difference with its interval, and a star where it holds after Holm's correction.

    ``+1.23 [-0.40, +2.86]``, ``+1.23 [+0.40, +2.06] *``, ``+1.23`` of one seed.
    """
    star = " *" if adjusted is not None and adjusted < LEVEL else ""
    ends = interval(difference)
    return signed(difference.estimate) + ("" if ends == EMPTY else f" {ends}") + star


def chance(p: float | None) -> str:
    """A p-value: three digits, more where it is small or rounding would cross the level.

    >>> chance(0.0123), chance(0.0499), chance(0.00021), chance(2.3e-8), chance(None)
    ('0.012', '0.0499', '0.0002', '2e-08', '–')
    """
    if p is None:
        return EMPTY
    if p < 1e-4:
        return f"{p:.0e}"
    if p < LEVEL <= round(p, 3):
        return f"{floor(p * 1e4) / 1e4:.4f}"
    return f"{p:.3f}" if p >= 1e-3 else f"{p:.4f}"
