"""Who differs from whom, by how much, and whether that holds: paired on (seed, example)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import floor
from typing import Literal

from bench.report.examples import BySeed, Column, Examples
from bench.report.paired import NOT_FINISHED, Outcome, Paired
from bench.report.results import Results
from bench.report.scores import OFF
from bench.report.table import EMPTY
from bench.stats.difference import LEVEL, Difference, holm
from reaugkd.errors import UnknownNameError

PREFERRED = ("kd", "finetune")
"""What others are compared with unless a baseline is named, best first."""

BETTER, WORSE, NOT_SHOWN = "better", "worse", "no difference shown"
ONE_SEED = "one seed: no test"
NOT_COMPARABLE = "not comparable"

Kind = Literal["baseline", "retrieval"]


@dataclass(frozen=True)
class Comparison:
    """One column of a run minus another, on one test split.

    Attributes:
        kind: ``baseline``: minus the baseline alone; ``retrieval``: minus the same method alone.
        title: of the task, with the split where a task has several.
        metric: the one that the task chooses by.
        baseline: the method that is subtracted, without retrieval.
        seeds: those that both have, with outputs that can be used.
        left_out: the other seeds of either.
        difference: in shares, over them; None if not comparable.
        mcnemar: exact p of each seed's pair of students; empty for a regression.
        adjusted: p after Holm's correction over all comparisons of this kind.
        verdict: ``better``, ``worse``, ``no difference shown``, ``one seed: no test``, or
            ``not comparable: <reason>``.
    """

    kind: Kind
    task: str
    title: str
    split: str
    metric: str
    method: str
    retrieval: str
    baseline: str
    seeds: tuple[int, ...]
    left_out: tuple[int, ...]
    difference: Difference | None
    mcnemar: tuple[float, ...]
    adjusted: float | None
    verdict: str


def baseline_of(results: Results, name: str | None = None) -> str | None:
    """The method that others are compared with; None if the run has no methods.

    Without ``name``: kd, else finetune, else the first, of the methods with a finished student.

    Raises:
        UnknownNameError: ``name`` is no method of the run.
    """
    planned = list(dict.fromkeys(cell.plan.method for cell in results.cells))
    if name is not None:
        if name not in planned:
            raise UnknownNameError("baseline", name, planned)
        return name
    finished = {record.method for record, _ in results.trained}
    methods = [method for method in planned if method in finished] or planned
    return next((name for name in PREFERRED if name in methods), next(iter(methods), None))


def comparisons(examples: Examples, baseline: str | None) -> list[Comparison]:
    """Every column minus the baseline alone, and every index minus its method alone.

    Reads the outputs of one task after the other.
    """
    tasks: dict[str, dict[Column, BySeed]] = {}
    for at, found in examples.columns.items():
        tasks.setdefault(at[0], {})[at] = found
    made: list[Comparison] = []
    for own in tasks.values():
        answers = [answer for found in own.values() for answer in found.values()]
        for split in answers[0].record.tests if answers else ():
            paired = Paired(examples, answers, split, answers[0].record.select_on)
            made += _of_split(paired, own, split, baseline)
    return [one for kind in ("baseline", "retrieval") for one in _corrected(made, kind)]


def _of_split(
    paired: Paired, own: dict[Column, BySeed], split: str, baseline: str | None
) -> Iterable[Comparison]:
    for (task, method, retrieval), found in own.items():
        kinds: list[tuple[Kind, str]] = []
        if baseline is not None and (method, retrieval) != (baseline, OFF):
            kinds.append(("baseline", baseline))
        if retrieval != OFF:
            kinds.append(("retrieval", method))
        for kind, other in kinds:
            against = own.get((task, other, OFF), {})
            outcome = paired.compare(found, against)
            record = next(iter((found or against or _any(own)).values())).record
            yield Comparison(
                kind=kind,
                task=task,
                title=record.heading(split),
                split=split,
                metric=record.select_on,
                method=method,
                retrieval=retrieval,
                baseline=other,
                seeds=outcome.seeds,
                left_out=left_out(outcome, found, against),
                difference=outcome.difference,
                mcnemar=outcome.mcnemar,
                adjusted=None,
                verdict=_reason(outcome, found, other),
            )


def _any(own: dict[Column, BySeed]) -> BySeed:
    return next(found for found in own.values() if found)


def _reason(outcome: Outcome, found: BySeed, baseline: str) -> str:
    if outcome.reason == NOT_FINISHED and found:
        return f"{NOT_COMPARABLE}: {NOT_FINISHED} of {baseline}"
    return f"{NOT_COMPARABLE}: {outcome.reason}" if outcome.reason else ""


def _corrected(made: Iterable[Comparison], kind: Kind) -> list[Comparison]:
    """Those of one kind with Holm's correction over all of them, and what it leaves to say."""
    own = [one for one in made if one.kind == kind]
    adjusted = holm([one.difference.p if one.difference else None for one in own])
    return [
        replace(one, adjusted=p, verdict=verdict(one.verdict, one.difference, p))
        for one, p in zip(own, adjusted, strict=True)
    ]


def verdict(known: str, difference: Difference | None, adjusted: float | None) -> str:
    """What is known without a test (e.g. why there is none), else what the test says."""
    if known or difference is None:
        return known
    if adjusted is None:
        return ONE_SEED
    if adjusted >= LEVEL:
        return NOT_SHOWN
    return BETTER if difference.estimate > 0 else WORSE


def left_out(outcome: Outcome, one: BySeed, other: BySeed) -> tuple[int, ...]:
    """Seeds of either column that are not paired."""
    return tuple(sorted((one.keys() | other.keys()) - {*outcome.seeds}))


def worth(found: Sequence[Comparison]) -> bool:
    """Whether there is a difference, or a reason why there is none, to be shown."""
    return any(one.verdict != f"{NOT_COMPARABLE}: {NOT_FINISHED}" for one in found)


def of_kind(found: Iterable[Comparison], kind: Kind) -> list[Comparison]:
    """Those of one kind."""
    return [one for one in found if one.kind == kind]


def signed(share: float) -> str:
    """A difference in points.

    >>> signed(0.0123), signed(-0.00001)
    ('+1.23', '+0.00')
    """
    return f"{100 * share:+z.2f}"


def interval(found: Difference) -> str:
    """The 95 % interval in points, e.g. ``[-0.40, +2.86]``."""
    if found.low is None or found.high is None:
        return EMPTY
    return f"[{signed(found.low)}, {signed(found.high)}]"


def marked(found: Difference, adjusted: float | None) -> str:
    """The difference with its interval, and a star where it holds after Holm's correction.

    ``+1.23 [-0.40, +2.86]``, ``+1.23 [+0.40, +2.06] *``, ``+1.23`` of one seed.
    """
    shown = " *" if adjusted is not None and adjusted < LEVEL else ""
    ends = interval(found)
    return signed(found.estimate) + ("" if ends == EMPTY else f" {ends}") + shown


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
