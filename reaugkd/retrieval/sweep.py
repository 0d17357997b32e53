"""All of (tau, k, beta) after one search at the largest k: every smaller k is a prefix of it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reaugkd.errors import EmbeddingError, UserError
from reaugkd.retrieval.mixing import Floats
from reaugkd.tasks.metrics import ConstantScoresWarning, answered, predictions, score
from reaugkd.tasks.task import Task

AT_ONCE = 2**24
"""Numbers of mixtures that are computed at a time: 128 MiB, which no task of GLUE needs."""


@dataclass(frozen=True)
class Grid:
    """The settings to try; the defaults span ReAugKD's (K to 20, beta 0 to 1) and our taus.

    ``ks`` are at least 1, ``betas`` in [0, 1] (0 is the student alone), ``taus`` above 0.
    """

    ks: tuple[int, ...] = (1, 2, 4, 8, 10, 15, 16, 20, 32)
    betas: tuple[float, ...] = tuple(step / 10 for step in range(11))
    taus: tuple[float, ...] = (0.05, 0.07, 0.1, 0.5, 1.0)

    def __post_init__(self) -> None:
        for name, numbers, fits, allowed in (
            ("k", self.ks, [k >= 1 for k in self.ks], "at least 1"),
            ("beta", self.betas, [0.0 <= b <= 1.0 for b in self.betas], "from 0 to 1"),
            ("tau", self.taus, [0.0 < t < np.inf for t in self.taus], "above 0"),
        ):
            if not numbers or not all(fits):
                raise UserError(f"{name} must be one or more numbers {allowed}, got {numbers}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of taus, ks and betas: the axes of every result, in this order."""
        return len(self.taus), len(self.ks), len(self.betas)

    def require(self, entries: int) -> None:
        """Raise :class:`UserError` if a k is larger than the number of entries there are."""
        if max(self.ks) > entries:
            raise UserError(f"k = {max(self.ks)} is larger than the {entries} entries there are")


@dataclass(frozen=True)
class GridPoint:
    """One setting of a grid and its score."""

    tau: float
    k: int
    beta: float
    score: float


def mixtures(
    student: Floats,
    nearest: Floats,
    values: Floats,
    grid: Grid,
    tau: float,
    log_counts: Floats | None = None,
) -> Floats:
    """What :func:`reaugkd.retrieval.mixing.mix` gives for every setting with ``tau``.

    From ``student`` [q, C], ``nearest`` [q, K] (descending, -inf where missing, K at least the
    largest k) and ``values`` [q, K, C] of the neighbours: [ks, betas, q, C]. ``log_counts`` [q, K]
    are those of :func:`reaugkd.retrieval.mixing.weights`.
    """
    last = np.array(grid.ks) - 1
    present = np.isfinite(nearest)
    # Similarities fall, so the first is the largest: no power exceeds 1 and the first one is 1;
    # with counts no power exceeds its count, and the first one is its own.
    gaps = np.subtract(nearest, nearest[:, :1], where=present, out=np.full_like(nearest, -np.inf))
    exponents = gaps / tau
    if log_counts is not None:
        exponents += log_counts
    powers = np.exp(exponents)
    totals = powers.cumsum(axis=1)[:, last]
    sums = (powers[:, :, None] * values).cumsum(axis=1)[:, last]
    anything = present[:, :1, None]
    means = np.divide(sums, totals[:, :, None], where=anything, out=np.zeros_like(sums))
    share = np.array(grid.betas)[None, :, None, None]
    mixed: Floats = (1.0 - share) * student + share * means.swapaxes(0, 1)[:, None]
    untouched = (share == 0.0) | ~present[:, :1]
    return np.where(untouched, student, mixed)


def sweep_scores(
    task: Task,
    student: ArrayLike,
    similarities: ArrayLike,
    neighbour_values: ArrayLike,
    labels: ArrayLike,
    grid: Grid,
    metrics: Sequence[str] | None = None,
    log_counts: ArrayLike | None = None,
) -> dict[str, Floats]:
    """Every metric for every setting, [taus, ks, betas]; equal predictions are scored once.

    The arrays are as for :func:`mixtures`, ``labels`` [q]; ``metrics`` replace the task's. Those
    that need probabilities are left out: hundreds of settings of many classes would take minutes.
    An EmbeddingError names the first query with a NaN among its numbers.
    """
    names = tuple(metrics or answered(task))
    scores = {name: np.empty(grid.shape) for name in names}
    scored: dict[bytes, dict[str, float]] = {}
    alone = np.asarray(student, dtype=np.float64)
    nearest = np.asarray(similarities, dtype=np.float64)
    values = np.asarray(neighbour_values, dtype=np.float64)
    counted = None if log_counts is None else np.asarray(log_counts, dtype=np.float64)
    for name, array in (
        ("the student's answer", alone),
        ("a similarity", nearest),
        ("a value", values),
        ("the logarithm of a count", counted),
    ):
        if array is not None:
            _require_numbers(name, array)
    grid.require(nearest.shape[1])
    some = max(1, AT_ONCE // (len(grid.ks) * len(grid.betas) * alone.shape[1]))
    parts = [slice(start, start + some) for start in range(0, len(alone), some)]
    for at, tau in enumerate(grid.taus):  # one at a time: a large task's mixtures are large
        some_answers = []
        for p in parts:
            logs = None if counted is None else counted[p]
            mixed = mixtures(alone[p], nearest[p], values[p], grid, tau, logs)
            some_answers.append(_answers(task, mixed))
        answers = np.concatenate(some_answers, axis=1)
        for setting, answer in zip(np.ndindex(grid.shape[1:]), answers, strict=True):
            digest = blake2b(answer.tobytes()).digest()
            if digest not in scored:
                with warnings.catch_warnings():
                    # With beta 1 and equal neighbours, constant scores are an answer like another.
                    warnings.simplefilter("ignore", ConstantScoresWarning)
                    scored[digest] = score(names, answer, labels)
            for name in names:
                scores[name][(at, *setting)] = scored[digest][name]
    return scores


def _answers(task: Task, mixed: Floats) -> NDArray[Any]:
    """What the mixtures [ks, betas, q, C] answer, [ks * betas, q]."""
    queries, outputs = mixed.shape[2:]
    return predictions(task, mixed.reshape(-1, outputs)).reshape(-1, queries)


def _require_numbers(name: str, array: Floats) -> None:
    """Raise EmbeddingError if a row of ``array`` [q, ...] has a NaN: it would pass for a number."""
    bad = np.isnan(array).reshape(len(array), -1).any(axis=1)
    if bad.any():
        raise EmbeddingError(f"{name} of query {bad.argmax()} is NaN")


def choose(scores: NDArray[Any], grid: Grid) -> GridPoint:
    """The best of ``scores`` [taus, ks, betas].

    Of equally good settings the smallest beta, then the smallest k, then the largest tau: retrieval
    is off unless it helps.
    """
    best = float(scores.max())
    taus, ks, betas = np.nonzero(scores >= best - 1e-12)  # rounding is no reason to intervene
    candidates = [
        GridPoint(grid.taus[t], grid.ks[k], grid.betas[b], float(scores[t, k, b]))
        for t, k, b in zip(taus, ks, betas, strict=True)
    ]
    return min(candidates, key=lambda choice: (choice.beta, choice.k, -choice.tau))
