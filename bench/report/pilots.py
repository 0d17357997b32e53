"""Pilot cells of a run: what they say of how far the difference of two arms lies from its truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.report.examples import BySeed
from bench.report.inputs import RunInputs
from bench.report.paired import Paired
from bench.report.scores import OFF
from bench.stats import power
from bench.stats.power import Spread

RESAMPLES = 2_000
"""Of the test rows: enough for a variance to within a few percent."""

ONE_SEED = "one seed: how another would have done is not known"


@dataclass(frozen=True)
class Pilot:
    """Two arms of a run on the first test split of a task.

    Attributes:
        task, title, metric: what is scored, and how tables call it.
        method: of the first arm.
        ours, theirs: the arms, e.g. ``reaugkd, exact`` and ``reaugkd``; the first minus the second
            is meant.
        rows: of the test split.
        seeds: those that both arms have.
        difference: mean over seeds, in shares; None where nothing is known.
        disagreement: share of rows on which exactly one arm is right; None for a regression.
        spread: where its chance comes from; None with the ``reason``.
        cautious: the same with training's variance at the limit that the pilot cannot exclude;
            None where there is no pilot.
    """

    task: str
    title: str
    metric: str
    method: str
    ours: str
    theirs: str
    rows: int = 0
    seeds: tuple[int, ...] = ()
    difference: float | None = None
    disagreement: float | None = None
    spread: Spread | None = None
    cautious: Spread | None = None
    reason: str = ""

    @property
    def name(self) -> str:
        """The comparison in words."""
        return f"{self.ours} - {self.theirs}"


def pilots(inputs: RunInputs, task: str | None = None) -> list[Pilot]:
    """Every method minus the baseline, and minus itself without retrieval, task by task.

    Of several indexes the first of the plan stands for retrieval. Reads the outputs of one task
    after the other.
    """
    tasks = dict.fromkeys(of for of, *_ in inputs.examples.columns if task in (None, of))
    return [pilot for of in tasks for pilot in _of_task(inputs, of)]


def _of_task(inputs: RunInputs, task: str) -> Iterator[Pilot]:
    columns = {
        (method, retrieval): by_seed
        for (of, method, retrieval), by_seed in inputs.examples.columns.items()
        if of == task and retrieval in (OFF, inputs.results.first_index(task, method))
    }
    answers = [answer for by_seed in columns.values() for answer in by_seed.values()]
    if not answers:
        return
    record = answers[0].record
    split = record.tests[0]
    paired = Paired(inputs.examples, answers, split, record.select_on, RESAMPLES)
    for (method, retrieval), column in columns.items():
        others = [] if retrieval == OFF else [method]
        others += [inputs.baseline] if inputs.baseline and inputs.baseline != method else []
        for other in others:
            yield _pilot(
                paired,
                column,
                columns.get((other, OFF), {}),
                task=task,
                title=record.heading(split),
                metric=record.select_on,
                method=method,
                ours=method if retrieval == OFF else f"{method}, {retrieval}",
                theirs=other,
                rows=paired.examples,
            )


def _pilot(paired: Paired, first: BySeed, second: BySeed, **about: Any) -> Pilot:
    """What the first column minus the second says; ``about`` are the fields that name them."""
    draws = paired.draws(first, second)
    if isinstance(draws, str):
        return Pilot(**about, reason=draws)
    about |= {
        "seeds": draws.seeds,
        "difference": float(draws.observed.mean()),
        "disagreement": draws.disagreement,
    }
    if len(draws.seeds) < power.FEWEST:
        return Pilot(**about, reason=ONE_SEED)
    drawn = (draws.observed, draws.resampled, paired.examples)
    spread, cautious = (power.of_pilot(*drawn, confidence=c) for c in (None, power.CAUTION))
    if not (spread.training or spread.own or spread.shared):
        return Pilot(**about, reason="both arms answer alike: nothing varies")
    return Pilot(**about, spread=spread, cautious=cautious)
