"""Simulated comparisons whose true difference is known: seeds crossed with examples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class World:
    """Where the differences of two students in {-1, 0, 1} come from.

    Attributes:
        disagree: share of (seed, example) pairs on which exactly one student is right.
        seeds: sd of the true difference over seeds.
        shared: share of draws that an example has in common for all seeds.
        true: the true difference.
        values: ``{-1, 0, 1}``, or ``normal`` with the same mean and variance.
    """

    name: str
    disagree: float
    seeds: float
    shared: float
    true: float = 0.0
    normal: bool = False

    def draw(self, sims: int, seeds: int, examples: int, seed: int = 0) -> Floats:
        """Differences [sims, seeds, examples] of being right."""
        random = np.random.default_rng([seed, seeds, examples])
        most = self.disagree - abs(self.true)
        of_seeds = self.seeds * random.standard_normal((sims, seeds, 1), np.float32)
        mean = self.true + np.clip(of_seeds, -most, most)
        shape, common = (sims, seeds, examples), (sims, 1, examples)
        if self.normal:
            share = np.float32(self.shared)
            chance = np.sqrt(share) * random.standard_normal(common, np.float32)
            own = random.standard_normal(shape, np.float32)
            chance = chance + np.sqrt(1 - share) * own
            return np.asarray(mean + np.sqrt(self.disagree) * chance, np.float32)
        own = random.random(shape, np.float32)
        same = random.random(common, np.float32)
        chance = np.where(random.random(common, np.float32) < self.shared, same, own)
        better = chance < (self.disagree + mean) / 2
        worse = chance > 1 - (self.disagree - mean) / 2
        return better.astype(np.float32) - worse.astype(np.float32)


WORLDS = (
    World("chance of pairs", disagree=0.20, seeds=0.0, shared=0.0),
    World("seeds", disagree=0.20, seeds=0.06, shared=0.1, true=0.02),
    World("examples", disagree=0.20, seeds=0.005, shared=0.8),
    World("mixed", disagree=0.15, seeds=0.02, shared=0.4),
    World("mixed, a difference", disagree=0.15, seeds=0.02, shared=0.4, true=0.03),
    World("pairs and seeds", disagree=0.15, seeds=0.03, shared=0.0),
    World("mixed, normal", disagree=0.15, seeds=0.02, shared=0.4, normal=True),
)
"""Every balance of seeds, examples and the chance of their pairs, with 277 and 1,000 examples."""


def on_resamples(values: Floats, drawn: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Means [sims, S] of differences [sims, S, N], and [sims, R, S] under counts [R, N]."""
    sims, seeds, examples = values.shape
    means = drawn @ values.reshape(-1, examples).T / np.float32(examples)
    return values.mean(axis=2), means.reshape(len(drawn), sims, seeds).transpose(1, 0, 2)
