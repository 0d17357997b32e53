"""Whom the student answers alone: a margin chosen on one split, and what it does on all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.pipeline.hot import AddedTime
from bench.records.base import NEVER
from bench.records.run import SkipFacts
from reaugkd.retrieval import skip

Answers = Mapping[str, NDArray[Any]]
"""Split -> probabilities [N, C]."""


@dataclass(frozen=True)
class Skipping:
    """A rule with its threshold, for the answers of one student.

    Attributes:
        rule: in its canonical spelling.
        chosen_on: the split on which the threshold was chosen.
        threshold: the margin above which the student answers alone; infinite where nobody does.
        student: its own answers.
    """

    rule: str
    chosen_on: str
    threshold: float
    student: Answers

    @classmethod
    def choose(
        cls, rule: str, beta: float, split: str, student: Answers, mixed: Answers
    ) -> Skipping:
        """With the threshold for answers ``mixed`` with weight ``beta``, chosen on ``split``."""
        if rule == NEVER:
            return cls(rule, split, math.inf, student)
        margins, differs = skip.margins(student[split]), _differ(student[split], mixed[split])
        threshold = skip.parse(rule).threshold(beta, margins, differs)
        return cls(rule, split, threshold, student)

    def alone(self, split: str) -> NDArray[np.bool_]:
        """Whom [N] the student answers alone."""
        if math.isinf(self.threshold):
            return np.zeros(len(self.student[split]), bool)
        alone: NDArray[np.bool_] = skip.margins(self.student[split]) > self.threshold
        return alone

    def outputs(self, split: str, mixed: NDArray[Any]) -> NDArray[Any]:
        """The answers, of those who are skipped the student's own, else those ``mixed`` [N, C]."""
        return np.where(self.alone(split)[:, None], self.student[split], mixed)

    def facts(self, mixed: Answers, time: AddedTime) -> SkipFacts | None:
        """What a record keeps of it; None where every query is searched anyway."""
        if self.rule == NEVER:
            return None
        return SkipFacts(
            rule=self.rule,
            threshold=self.threshold if math.isfinite(self.threshold) else None,
            chosen_on=self.chosen_on,
            skipped={s: float(self.alone(s).mean()) for s in mixed},
            differs={
                s: float(_differ(self.outputs(s, answer), answer).mean())
                for s, answer in mixed.items()
            },
            asked_us_p50=time.asked,
            skipped_us_p50=time.skipped,
        )


def _differ(first: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    """Whose classes [N] are not the same."""
    different: NDArray[np.bool_] = first.argmax(axis=1) != other.argmax(axis=1)
    return different
