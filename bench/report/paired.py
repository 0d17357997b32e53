"""Answers to one test split, resampled together: the same examples for every student.

A test set is one and the same for all students, so examples are crossed with seeds, and two
students are compared on the same resamples.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.records.store import Problem
from bench.report.examples import BySeed, Examples, StudentAnswers
from bench.stats.bootstrap import observed, replicates
from bench.stats.difference import RESAMPLES, Difference, difference, mcnemar

TOLERANCE = 1e-4
"""How far the outputs of a cell may score from what its record says; metrics add up floats."""

NOT_FINISHED = "no finished student"


@dataclass(frozen=True)
class PairedOutcome:
    """One column minus another.

    Attributes:
        seeds: those that both have, with outputs that can be used.
        difference: over them, in shares; None where there are none.
        mcnemar: exact p of the pair of each seed; empty for a regression.
        reason: why there is no difference, else empty.
    """

    seeds: tuple[int, ...]
    difference: Difference | None
    mcnemar: tuple[float, ...]
    reason: str


@dataclass(frozen=True)
class PairedDraws:
    """What a comparison is computed from.

    Attributes:
        seeds: those that both have, with outputs that can be used.
        observed: [S] one minus the other, in shares.
        resampled: [R, S] the same on resamples of the examples.
        disagreement: share of (seed, example) pairs on which exactly one is right; None for a
            regression.
    """

    seeds: tuple[int, ...]
    observed: NDArray[np.float64]
    resampled: NDArray[np.float64]
    disagreement: float | None


class Paired:
    """Every usable answer of ``answers`` to one test split, scored on the same resamples.

    Args:
        examples: of the run.
        answers: of one task.
        split: a test split of it.
        metric: that they are compared by.
        resamples: of the examples.
    """

    def __init__(
        self,
        examples: Examples,
        answers: Iterable[StudentAnswers],
        split: str,
        metric: str,
        resamples: int = RESAMPLES,
    ) -> None:
        self._reasons: dict[tuple[str, str], str] = {}
        self._row: dict[tuple[str, str], int] = {}
        self._right: NDArray[np.bool_] | None = None
        self.examples = 0
        rows, recorded = [], []
        usable: list[StudentAnswers] = []
        labels = None
        for answer in {answer.name: answer for answer in answers}.values():
            score = answer.scores.get(split, {}).get(metric)
            outputs = examples.answers(answer, split)
            if score is None or not math.isfinite(score):
                self._reasons[answer.name] = f"its record has no {metric}"
            elif isinstance(outputs, Problem):
                reason = outputs.reason if examples.kept else "no outputs beside the cells"
                self._reasons[answer.name] = reason
            else:
                labels = examples.labels(answer.record.task, split)
                usable.append(answer)
                rows.append(outputs)
                recorded.append(score)
        if not usable or labels is None:
            return
        predictions, self.examples = np.stack(rows), len(labels)
        self._observed = observed(metric, predictions, labels)
        for place, (answer, score) in enumerate(zip(usable, recorded, strict=True)):
            scored = float(self._observed[place])
            if abs(scored - score) > TOLERANCE:
                wrong = f"outputs score {scored:.4f} on {split}, the record says {score:.4f}"
                self._reasons[answer.name] = examples.reject(answer, split, wrong).reason
            else:
                self._row[answer.name] = place
        drawn = replicates(metric, predictions, labels, resamples=resamples)
        self._drawn = np.ascontiguousarray(drawn.T)  # a student is a row: its values lie together
        if not usable[0].record.regression:
            self._right = predictions == labels

    def compare(self, ours: BySeed, theirs: BySeed, of: Paired | None = None) -> PairedOutcome:
        """``ours`` minus ``theirs``, paired on the seeds and the examples that both have.

        Args:
            ours: seed -> an answer that is scored here.
            theirs: seed -> an answer that is scored in ``of``.
            of: the same split with the same labels in another run; by default this one.
        """
        against = of or self
        seeds, rows, whole = self._sum((1, self, ours), (-1, against, theirs))
        if whole is None:
            return PairedOutcome((), None, (), self._reason(ours, theirs, against))
        right, right_of_theirs = self._right, against._right
        chances: tuple[float, ...] = ()
        if right is not None and right_of_theirs is not None:
            pairs = zip(*rows, strict=True)
            chances = tuple(mcnemar(right[a], right_of_theirs[b]) for a, b in pairs)
        return PairedOutcome(seeds, whole, chances, "")

    def draws(self, ours: BySeed, theirs: BySeed) -> PairedDraws | str:
        """What ``ours`` minus ``theirs`` is computed from, or why there is nothing."""
        seeds, rows, seen, drawn = self._weighed((1, self, ours), (-1, self, theirs))
        if not seeds:
            return self._reason(ours, theirs, self)
        right, disagreement = self._right, None
        if right is not None:
            first, second = (right[at] for at in rows)
            disagreement = float(np.mean(first != second))
        return PairedDraws(seeds, seen, drawn, disagreement)

    def contrast(self, *columns: tuple[float, BySeed]) -> Difference | None:
        """A sum of columns, each with its weight, paired on the seeds and examples that all have.

        ``(1, a), (-1, b)`` is a minus b; with four columns a difference of two differences. None
        where the columns have no usable seed in common.
        """
        *_, whole = self._sum(*((weight, self, column) for weight, column in columns))
        return whole

    def _sum(
        self, *columns: tuple[float, Paired, BySeed]
    ) -> tuple[tuple[int, ...], list[list[int]], Difference | None]:
        """Seeds that all columns have, their rows in each, and the weighted sum over them."""
        seeds, rows, seen, drawn = self._weighed(*columns)
        return seeds, rows, difference(seen, drawn, self.examples) if seeds else None

    def _weighed(
        self, *columns: tuple[float, Paired, BySeed]
    ) -> tuple[tuple[int, ...], list[list[int]], NDArray[np.float64], NDArray[np.float64]]:
        """The same seeds and rows, and the weighted sums [S] as seen, [R, S] as drawn."""
        *_, first = columns[0]
        seeds = tuple(
            seed
            for seed in sorted(first)
            if all(seed in column and column[seed].name in of._row for _, of, column in columns)
        )
        rows = [[of._row[column[seed].name] for seed in seeds] for _, of, column in columns]
        if not seeds:
            return seeds, rows, np.empty(0), np.empty((0, 0))
        parts = [(weight, of, at) for (weight, of, _), at in zip(columns, rows, strict=True)]
        seen = np.sum([weight * of._observed[at] for weight, of, at in parts], axis=0)
        drawn = np.sum([weight * of._drawn[at] for weight, of, at in parts], axis=0)
        return seeds, rows, seen, drawn.T

    def _reason(self, ours: BySeed, theirs: BySeed, against: Paired) -> str:
        if not ours or not theirs:
            return NOT_FINISHED
        if not ours.keys() & theirs.keys():
            return "no seed in common"
        reasons = [self._reasons.get(ours[seed].name) for seed in sorted(ours)]
        reasons += [against._reasons.get(theirs[seed].name) for seed in sorted(theirs)]
        return next(reason for reason in reasons if reason)
