"""A model with its optimiser, and the team of them that one training run moves."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import get_scheduler

from reaugkd.batch import STUDENT, Batch
from reaugkd.models.encoder import EncoderOutput
from reaugkd.models.recipe import Precision, Recipe

if TYPE_CHECKING:
    from accelerate import Accelerator


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """The autocast context of a precision."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def decay_groups(models: list[nn.Module], weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups: matrices with weight decay, biases and norms (1-D) without."""
    parameters = [p for model in models for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


class Learner:
    """One model, its optimiser and its schedule.

    ``batch_size``, ``accumulation``, ``epochs`` and ``patience`` of a companion's recipe are
    ignored: the student's decide. ``forwards`` and ``backwards`` count examples, for the costs.

    Args:
        model: an encoder, or for a companion any module whose forward pass takes a batch's inputs.
        recipe: how it is trained.
        adapter: further parameters that the same optimiser trains.
        states: whether :meth:`forward` asks for all layers' hidden states.
        reads: whose token ids it reads, the student's or the teacher's (``Batch.read_by``).
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        *,
        adapter: nn.Module | None = None,
        states: bool = False,
        reads: str = STUDENT,
    ) -> None:
        self.plain, self.recipe, self.adapter, self.reads = model, recipe, adapter, reads
        self._options: dict[str, Any] = {"states": True} if states else {}
        self.forwards = self.backwards = 0
        self.model: nn.Module = model
        self._stream = self._moment = self._calls = self._size = 0
        self._weight = 1.0

    def attach(self, accelerator: Accelerator, steps: int, stream: int = 0) -> None:
        """Make optimiser and schedule for a run of ``steps`` optimiser steps.

        Stream 0 draws dropout masks from torch's generator; another number (a companion's) gives
        the learner a stream of its own, so that it does not disturb the student's.
        """
        recipe, self._stream = self.recipe, stream
        owners = [self.plain] + ([self.adapter] if self.adapter is not None else [])
        optimizer = torch.optim.AdamW(
            decay_groups(owners, recipe.weight_decay), lr=recipe.learning_rate, fused=True
        )
        schedule = get_scheduler(
            "linear",
            optimizer,
            num_warmup_steps=int(recipe.warmup * steps),
            num_training_steps=steps,
        )
        self._accelerator = accelerator
        self.model, self._optimizer, self._schedule = accelerator.prepare(
            self.plain, optimizer, schedule
        )
        if self.adapter is not None:
            self.adapter = accelerator.prepare(self.adapter)

    @property
    def precision(self) -> torch.autocast:
        """The autocast context of the recipe."""
        return autocast(self._accelerator.device, self.recipe.decided_precision)

    def begin(self, moment: int, size: int, weight: float = 1.0) -> None:
        """A new batch of ``size`` examples, the ``moment``-th of the run.

        A stream of its own depends on ``moment`` and on nothing before, so a resumed run draws the
        masks of an uninterrupted one. ``weight`` is the batch's within its window of accumulation,
        1 where all are of one size (see :func:`reaugkd.training.batches.window_weights`).
        """
        self._moment, self._calls, self._size = moment, 0, size
        self._weight = weight
        self.model.train()

    @contextlib.contextmanager
    def masks(self) -> Iterator[None]:
        """The random numbers that dropout draws inside: the learner's own stream."""
        if self._stream == 0:
            yield
            return
        self._calls += 1
        with torch.random.fork_rng():
            # Hashed into 32 bits, since torch's generator on the CPU looks at no more of a seed.
            at = np.random.SeedSequence([self._stream, self._moment, self._calls])
            torch.manual_seed(int(at.generate_state(1)[0]))
            yield

    def forward(self, batch: Batch) -> EncoderOutput:
        """The output in training mode, with gradients: as the one who learns."""
        self.forwards += len(batch.labels)
        self.model.train()
        with self.masks(), self.precision:
            output: EncoderOutput = self.model(**batch.read_by(self.reads), **self._options)
        return output

    def provide(self, batch: Batch, *, gradient: bool = False) -> EncoderOutput:
        """The output in evaluation mode: as the one who is learned from.

        With ``gradient`` it can be differentiated with respect to the weights.
        """
        self.forwards += len(batch.labels)
        self.model.eval()
        try:
            with torch.set_grad_enabled(gradient), self.precision:
                output: EncoderOutput = self.model(**batch.read_by(self.reads), **self._options)
        finally:
            self.model.train()
        return output

    def update(self, loss: Tensor) -> None:
        """Backward pass of ``loss``, clipping, one step of optimiser and schedule."""
        self.backward(loss)
        self.apply()

    def backward(self, loss: Tensor) -> None:
        """Backward pass of ``loss`` alone; where it reaches other learners, they have to count."""
        self.backwards += self._size
        self._accelerator.backward(loss if self._weight == 1.0 else self._weight * loss)

    def apply(self) -> None:
        """Clip the gradients and step; nothing moves while gradients are being accumulated."""
        if self._accelerator.sync_gradients:
            self._accelerator.clip_grad_norm_(self.parameters(), self.recipe.clip)
        self._optimizer.step()
        self._schedule.step()
        self._optimizer.zero_grad()

    def rest(self) -> None:
        """Leave a batch out: nothing moves but the schedule, which ends where the run ends."""
        self._schedule.step()

    def parameters(self) -> list[nn.Parameter]:
        """The parameters that the optimiser moves."""
        return [
            parameter for group in self._optimizer.param_groups for parameter in group["params"]
        ]


@dataclass
class Team:
    """The learners of one run; ``student`` is the one that is kept.

    ``moment`` is the number of the batch within the run, from 0; it is the same after a resume.
    """

    student: Learner
    companions: Mapping[str, Learner] = field(default_factory=dict)
    moment: int = 0
    seed: int = 0
