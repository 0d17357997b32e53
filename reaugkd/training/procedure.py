"""What one batch does to the models of a training run, and what a run may be asked besides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from reaugkd.distiller import Batch, LossTerms
from reaugkd.models.encoder import Encoder, EncoderOutput
from reaugkd.training.learner import Learner, Team

Loss = Callable[[EncoderOutput, Batch], LossTerms]
Step = Callable[[Team, Batch], LossTerms]


@dataclass
class Procedure:
    """What a batch does to the models.

    Attributes:
        step: moves the team by one batch and returns the terms to log.
        companions: what is trained beside the student, by name.
        adapter: further parameters of the student's optimiser.
        states: whether the student's forward pass hands out all layers' hidden states.
        rows: the rows to learn from, all by default.
        begin_epoch: called with epoch (from 0) and number of epochs before each epoch.
        state: what the step itself has learned so far; kept in every checkpoint.
        restore: called with that state when a run is resumed.
        at_steps: optimiser step -> called with the student when so many steps are done.
        until: end after so many optimiser steps; the schedule is that of the whole run.
        keep: which weights the student is left with, those of its ``best`` epoch or the ``last``.
    """

    step: Step
    companions: Mapping[str, Learner] = field(default_factory=dict)
    adapter: nn.Module | None = None
    states: bool = False
    rows: NDArray[np.int64] | None = None
    begin_epoch: Callable[[int, int], None] | None = None
    state: Callable[[], Mapping[str, float]] = dict
    restore: Callable[[Mapping[str, float]], None] | None = None
    at_steps: Mapping[int, Callable[[Encoder], None]] = field(default_factory=dict)
    until: int | None = None
    keep: Literal["best", "last"] = "best"


def minimise(loss: Loss) -> Procedure:
    """The plain procedure: one model, one forward pass, one step down ``loss``."""

    def step(team: Team, batch: Batch) -> LossTerms:
        terms = loss(team.student.forward(batch), batch)
        team.student.update(terms.total)
        return terms

    return Procedure(step)
