"""The training loop: one model, one loss, early stop by a named metric, exact resume."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import torch
from accelerate import Accelerator
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from transformers import get_scheduler

from reaugkd.batches import Collator, length_grouped, loader
from reaugkd.checkpoint import Checkpoint, Progress
from reaugkd.distiller import Batch, LossTerms
from reaugkd.errors import UserError
from reaugkd.inference import Precision, autocast
from reaugkd.models import Encoder, EncoderOutput
from reaugkd.reporter import Reporter, Silent

Loss = Callable[[EncoderOutput, Batch], LossTerms]
Evaluate = Callable[[Encoder], Mapping[str, float]]
LOG_EVERY = 10


class Recipe(BaseModel):
    """How a model is trained. Sources of the defaults: the PKD scripts unless said otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    learning_rate: float = Field(5e-5, gt=0, description="peak of the linear schedule")
    epochs: int = Field(4, ge=1, le=1000)
    batch_size: int = Field(32, ge=1, description="examples per forward pass")
    accumulation: int = Field(1, ge=1, description="forward passes per optimiser step")
    weight_decay: float = Field(0.01, ge=0, description="not on biases and norms")
    warmup: float = Field(0.1, ge=0, le=1, description="share of all steps")
    clip: float = Field(1.0, gt=0, description="largest gradient norm")
    precision: Precision = Field("fp32", description="bf16 is autocast; losses stay fp32")
    patience: int = Field(0, ge=0, description="epochs without a better score; 0: never stop early")


class TrainingResult(NamedTuple):
    """What training leaves behind besides the model, which holds its best weights.

    Attributes:
        score: best held-out value of the selection metric.
        epoch: the epoch that reached it, from 1.
        history: one row per epoch: mean of every loss term, held-out scores.
        seconds: time in the loop itself, without evaluation and checkpoints.
        examples: examples seen in that time.
        steps: optimiser steps.
    """

    score: float
    epoch: int
    history: list[dict[str, float]]
    seconds: float
    examples: int
    steps: int


class DivergedError(UserError):
    """The loss is not finite any more."""


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups: matrices with weight decay, biases and norms (1-D) without."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def train(
    model: Encoder,
    loss: Loss,
    dataset: Any,
    pad_id: int,
    recipe: Recipe,
    *,
    evaluate: Evaluate,
    select_on: str,
    seed: int,
    checkpoint: Checkpoint,
    device: Literal["auto", "cpu"] = "auto",
    stage: str = "train",
    reporter: Reporter | None = None,
) -> TrainingResult:
    """Train ``model`` in place and leave it with the best weights of all epochs.

    Everything random comes from torch's generator, seeded here and restored afterwards. A run that
    was killed goes on from its last checkpoint and ends with the same weights as one that was not.

    Args:
        model: trained in place.
        loss: of one batch.
        dataset: the encoded split to learn from.
        pad_id: id of the padding token.
        recipe: the hyper-parameters.
        evaluate: held-out scores of the model, called after every epoch.
        select_on: the score that decides; larger is better.
        seed: of batches and dropout.
        checkpoint: where the state is kept; an existing one is resumed.
        device: ``"cpu"``, or whatever accelerate finds.
        stage: name for the progress display.
        reporter: told of the progress.

    Raises:
        DivergedError: if the loss is not finite.
    """
    reporter = reporter or Silent()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return _Run(
            model, loss, dataset, pad_id, recipe, seed, checkpoint, device, stage, reporter
        )(evaluate, select_on)


class _Run:
    """The state of one call of :func:`train`."""

    def __init__(
        self,
        model: Encoder,
        loss: Loss,
        dataset: Any,
        pad_id: int,
        recipe: Recipe,
        seed: int,
        checkpoint: Checkpoint,
        device: str,
        stage: str,
        reporter: Reporter,
    ) -> None:
        self.recipe, self.seed, self.loss, self.stage = recipe, seed, loss, stage
        self.reporter, self.checkpoint = reporter, checkpoint
        self.dataset, self.lengths = dataset, dataset["length"]
        self.collator = Collator(dataset, pad_id)
        self.accelerator = Accelerator(
            cpu=device == "cpu", gradient_accumulation_steps=recipe.accumulation
        )
        batches = math.ceil(len(dataset) / recipe.batch_size)
        total = recipe.epochs * math.ceil(batches / recipe.accumulation)
        optimizer = torch.optim.AdamW(
            decay_groups(model, recipe.weight_decay), lr=recipe.learning_rate, fused=True
        )
        schedule = get_scheduler(
            "linear",
            optimizer,
            num_warmup_steps=int(recipe.warmup * total),
            num_training_steps=total,
        )
        self.plain = model
        self.model, self.optimizer, self.schedule = self.accelerator.prepare(
            model, optimizer, schedule
        )
        self.progress = checkpoint.resume(self.accelerator, model) or Progress()

    def __call__(self, evaluate: Evaluate, select_on: str) -> TrainingResult:
        progress = self.progress
        while progress.epoch < self.recipe.epochs and not self._out_of_patience():
            self._epoch()
            self.reporter.finish()
            scores = evaluate(self.plain)
            means = {name: total / progress.batches for name, total in progress.sums.items()}
            progress.close_epoch(means, scores, select_on)
            best = progress.best_epoch == progress.epoch
            self.checkpoint.save(self.accelerator, self.plain, progress, best=best)
            shown = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
            self.reporter.note(f"{self.stage}: epoch {progress.epoch}, held-out {shown}")
        self.checkpoint.load_best(self.plain)
        return TrainingResult(
            progress.best_score,
            progress.best_epoch,
            progress.history,
            progress.seconds,
            progress.examples,
            progress.steps,
        )

    def _out_of_patience(self) -> bool:
        stale = self.progress.epoch - self.progress.best_epoch
        return 0 < self.recipe.patience <= stale

    def _epoch(self) -> None:
        progress = self.progress
        order = length_grouped(self.lengths, self.recipe.batch_size, self.seed, progress.epoch)
        left = order[progress.batches :]
        batches = self.accelerator.prepare(loader(left, self.collator, len(self.dataset)))
        epoch = f"{self.stage}: epoch {progress.epoch + 1}/{self.recipe.epochs}"
        self.reporter.start(epoch, sum(map(len, left)))
        self.model.train()
        began, values = time.perf_counter(), {}
        for number, batch in enumerate(batches):
            terms = self._step(batch)
            progress.count(terms, len(batch.rows))
            if number % LOG_EVERY == 0:
                values = terms.floats()
                self._check(values)
            self.reporter.advance(len(batch.rows), values)
            if self.accelerator.sync_gradients:
                progress.steps += 1
                if self.checkpoint.due():
                    progress.seconds += time.perf_counter() - began
                    self.checkpoint.save(self.accelerator, self.plain, progress)
                    began = time.perf_counter()
        progress.seconds += time.perf_counter() - began
        self._check({name: float(total) for name, total in progress.sums.items()})

    def _step(self, batch: Batch) -> LossTerms:
        with self.accelerator.accumulate(self.model):
            with autocast(self.accelerator.device, self.recipe.precision):
                output = self.model(**batch.inputs)
            terms = self.loss(output, batch)
            self.accelerator.backward(terms.total)
            if self.accelerator.sync_gradients:
                self.accelerator.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
            self.optimizer.step()
            self.schedule.step()
            self.optimizer.zero_grad()
        return terms

    def _check(self, values: Mapping[str, float | Tensor]) -> None:
        for name, value in values.items():
            if not math.isfinite(value):
                raise DivergedError(
                    f"{self.stage}: the loss term '{name}' became {value} "
                    f"(learning rate {self.recipe.learning_rate}): lower the learning rate"
                )
