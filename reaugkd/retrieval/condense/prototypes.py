"""Keys and values that are parameters, and their training."""

from __future__ import annotations

import copy
from typing import NamedTuple, Self

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.nn import functional as F

from reaugkd.retrieval.calibration import LEAST
from reaugkd.retrieval.condense.condenser import Asked, Questions
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.normalise import Vectors, unit_rows

KEY_RATE, VALUE_RATE = 1e-3, 5e-2
"""Learning rates of Adam: components of unit keys are some hundredths, logits some units."""

BATCH, EPOCHS = 256, 40

PATIENCE = 4
"""Epochs in a row without a lower loss on held-out rows after which training ends."""

_SURE = 1e-4
"""Added to a start's probabilities: the logarithm of 0 would never be learned away."""


def learned(
    start: KnowledgeBase,
    targets: Vectors,
    questions: Questions,
    *,
    beta: float,
    tau: float,
    seed: int,
) -> tuple[Vectors, Vectors]:
    """Keys [m, d] and values [m, C], trained from ``start`` to answer ``targets`` [n, C] on fit."""
    prototypes = Prototypes(start, beta, tau)
    truth = torch.tensor(np.asarray(questions.held_out.labels))
    classes = targets.shape[1]
    truth = truth[:, None] if classes == 1 else F.one_hot(truth.long(), classes)
    lessons = (
        Lesson.of(questions.fit, torch.tensor(targets)),
        Lesson.of(questions.held_out, truth.float()),
    )
    with threadpool_limits(1):  # products this small only wait for a second thread
        prototypes.learn(*lessons, seed)
    return prototypes.keys.detach().numpy(), prototypes.values.detach().numpy()


class Lesson(NamedTuple):
    """Unit queries [n, d], the student's own answers [n, C] and those to be given [n, C]."""

    queries: Tensor
    student: Tensor
    targets: Tensor

    @classmethod
    def of(cls, asked: Asked, targets: Tensor) -> Self:
        """What was asked, with the answers to give."""
        queries = torch.tensor(unit_rows(asked.queries, "query"))
        return cls(queries, torch.tensor(np.asarray(asked.student, np.float32)), targets)

    def rows(self, chosen: Tensor) -> Self:
        """The rows ``chosen``."""
        return type(self)(*(column[chosen] for column in self))


class Prototypes(nn.Module):
    """Entries in training: unit keys, and values that are a softmax of free logits (or scores)."""

    def __init__(self, start: KnowledgeBase, beta: float, tau: float) -> None:
        super().__init__()
        self.beta, self.tau = beta, tau
        values = torch.tensor(start.values)
        self.scores = values.shape[1] == 1
        self.directions = nn.Parameter(torch.tensor(start.keys))
        self.outputs = nn.Parameter(values if self.scores else (values + _SURE).log())

    @property
    def keys(self) -> Tensor:
        """[m, d], of unit length."""
        return F.normalize(self.directions, dim=1)

    @property
    def values(self) -> Tensor:
        """[m, C]: distributions, or scores."""
        return self.outputs if self.scores else self.outputs.softmax(dim=1)

    def forward(self, queries: Tensor, student: Tensor) -> Tensor:
        """The mixture [n, C] for unit queries [n, d]; all entries are neighbours."""
        weights: Tensor = (queries @ self.keys.T / self.tau).softmax(dim=1)
        mixed: Tensor = (1.0 - self.beta) * student + self.beta * (weights @ self.values)
        return mixed

    def loss(self, lesson: Lesson) -> Tensor:
        """The cross-entropy of the mixture with the targets, or its mean squared error."""
        answers = self(lesson.queries, lesson.student)
        if self.scores:
            squared: Tensor = F.mse_loss(answers, lesson.targets)
            return squared
        likelihoods: Tensor = (lesson.targets * answers.clamp_min(LEAST).log()).sum(dim=1)
        return -likelihoods.mean()

    def learn(self, fit: Lesson, held_out: Lesson, seed: int) -> None:
        """Train on ``fit`` and end in the state with the lowest loss on ``held_out``.

        The start is one of the states, so that what is learned is never worse there.
        """
        optimiser = torch.optim.Adam(
            [
                {"params": [self.directions], "lr": KEY_RATE},
                {"params": [self.outputs], "lr": VALUE_RATE},
            ]
        )
        order = torch.Generator().manual_seed(seed)
        best, lowest, idle = copy.deepcopy(self.state_dict()), self._loss_of(held_out), 0
        for _ in range(EPOCHS):
            shuffled = torch.randperm(len(fit.queries), generator=order)
            for start in range(0, len(shuffled), BATCH):
                optimiser.zero_grad()
                self.loss(fit.rows(shuffled[start : start + BATCH])).backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            loss = self._loss_of(held_out)
            if loss < lowest:
                best, lowest, idle = copy.deepcopy(self.state_dict()), loss, 0
            else:
                idle += 1
            if idle == PATIENCE:
                break
        self.load_state_dict(best)

    @torch.no_grad()
    def _loss_of(self, lesson: Lesson) -> float:
        return float(self.loss(lesson))
