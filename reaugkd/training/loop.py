"""The training loop: early stop by a named metric, exact resume, whatever a batch does."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from reaugkd import memory
from reaugkd.distiller import Batch, LossTerms
from reaugkd.errors import UserError
from reaugkd.models.encoder import Encoder
from reaugkd.reporter import Reporter, Silent
from reaugkd.training.batches import Collator, length_grouped, loader
from reaugkd.training.checkpoint import Checkpoint, Progress
from reaugkd.training.learner import Learner, Team
from reaugkd.training.procedure import Loss, Procedure, minimise
from reaugkd.training.recipe import Recipe

__all__ = ["Evaluate", "Loss", "Procedure", "Recipe", "TrainingResult", "minimise", "train"]

Evaluate = Callable[[Encoder], Mapping[str, float]]
LOG_EVERY = 10


class TrainingResult(NamedTuple):
    """What training leaves behind besides the model, which holds its best weights.

    Attributes:
        score: best held-out value of the selection metric.
        epoch: the epoch that reached it, from 1.
        history: one row per epoch: mean of every loss term, held-out scores.
        seconds: time in the loop itself, without evaluation and checkpoints.
        examples: examples seen in that time.
        steps: optimiser steps.
        work: learner -> examples that went forward and backward through it; the student's name is
            ``student``.
        peak_bytes: most memory the process held meanwhile (since the last resume), None where the
            system does not tell.
    """

    score: float
    epoch: int
    history: list[dict[str, float]]
    seconds: float
    examples: int
    steps: int
    work: dict[str, dict[str, int]]
    peak_bytes: int | None


class DivergedError(UserError):
    """The loss is not finite any more."""


def steps_of(recipe: Recipe, rows: int) -> int:
    """Optimiser steps of a whole run over ``rows`` examples."""
    batches = math.ceil(rows / recipe.batch_size)
    return recipe.epochs * math.ceil(batches / recipe.accumulation)


def train(
    model: Encoder,
    procedure: Procedure | Loss,
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
        procedure: what a batch does, or the loss to :func:`minimise`.
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
    if not isinstance(procedure, Procedure):
        procedure = minimise(procedure)
    accelerator = Accelerator(cpu=device == "cpu", gradient_accumulation_steps=recipe.accumulation)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        run = _Run(
            model,
            procedure,
            dataset,
            pad_id,
            recipe,
            seed,
            checkpoint,
            accelerator,
            stage,
            reporter or Silent(),
        )
        return run(evaluate, select_on)


class _Run:
    """The state of one call of :func:`train`."""

    def __init__(
        self,
        model: Encoder,
        procedure: Procedure,
        dataset: Any,
        pad_id: int,
        recipe: Recipe,
        seed: int,
        checkpoint: Checkpoint,
        accelerator: Accelerator,
        stage: str,
        reporter: Reporter,
    ) -> None:
        self.recipe, self.seed, self.procedure, self.stage = recipe, seed, procedure, stage
        self.reporter, self.checkpoint, self.accelerator = reporter, checkpoint, accelerator
        rows = np.arange(len(dataset)) if procedure.rows is None else procedure.rows
        self.rows, self.lengths = rows, np.asarray(dataset["length"])[rows]
        self.size, self.collator = len(dataset), Collator(dataset, pad_id)
        self.plain = model
        student = Learner(model, recipe, adapter=procedure.adapter, states=procedure.states)
        self.team = Team(student, procedure.companions, seed=seed)
        self.learners = {"student": student, **procedure.companions}
        self.per_epoch = math.ceil(len(rows) / recipe.batch_size)
        total = steps_of(recipe, len(rows))
        for number, learner in enumerate(self.learners.values()):
            learner.attach(accelerator, total, stream=number and 1000 * seed + number)
        resumed = checkpoint.resume(accelerator, model)
        self.progress = resumed or Progress()
        if resumed is not None and procedure.restore is not None:
            procedure.restore(resumed.state)
        for name, learner in self.learners.items():
            learner.forwards, learner.backwards = self.progress.work.get(name, (0, 0))

    def __call__(self, evaluate: Evaluate, select_on: str) -> TrainingResult:
        progress = self.progress
        memory.reset_peak(self.accelerator.device)
        while not self._over():
            self._epoch()
            self.reporter.finish()
            if self._stopped():
                break
            scores = evaluate(self.plain)
            means = {name: total / progress.batches for name, total in progress.sums.items()}
            last = self.procedure.keep == "last"
            progress.close_epoch(means, scores, select_on, keep=last)
            best = progress.best_epoch == progress.epoch
            self._save(best=best)
            shown = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
            self.reporter.note(f"{self.stage}: epoch {progress.epoch}, held-out {shown}")
        if progress.best_epoch:
            self.checkpoint.load_best(self.plain)
        return TrainingResult(
            progress.best_score,
            progress.best_epoch,
            progress.history,
            progress.seconds,
            progress.examples,
            progress.steps,
            {name: self._work(learner) for name, learner in self.learners.items()},
            memory.peak(self.accelerator.device),
        )

    @staticmethod
    def _work(learner: Learner) -> dict[str, int]:
        return {"forwards": learner.forwards, "backwards": learner.backwards}

    def _stopped(self) -> bool:
        return self.procedure.until is not None and self.progress.steps >= self.procedure.until

    def _over(self) -> bool:
        stale = self.progress.epoch - self.progress.best_epoch
        impatient = 0 < self.recipe.patience <= stale
        return self.progress.epoch >= self.recipe.epochs or impatient or self._stopped()

    def _save(self, *, best: bool = False) -> None:
        self.progress.work = {
            name: [learner.forwards, learner.backwards] for name, learner in self.learners.items()
        }
        self.progress.state = dict(self.procedure.state())
        self.checkpoint.save(self.accelerator, self.plain, self.progress, best=best)

    def _batches(self) -> list[list[int]]:
        order = length_grouped(self.lengths, self.recipe.batch_size, self.seed, self.progress.epoch)
        return [self.rows[batch].tolist() for batch in order[self.progress.batches :]]

    def _epoch(self) -> None:
        progress, left = self.progress, self._batches()
        if self.procedure.begin_epoch is not None:
            self.procedure.begin_epoch(progress.epoch, self.recipe.epochs)
        batches = self.accelerator.prepare(loader(left, self.collator, self.size))
        epoch = f"{self.stage}: epoch {progress.epoch + 1}/{self.recipe.epochs}"
        self.reporter.start(epoch, sum(map(len, left)))
        began, values = time.perf_counter(), {}
        for number, batch in enumerate(batches):
            terms = self._step(batch)
            progress.count(terms, len(batch.rows))
            if number % LOG_EVERY == 0:
                values = terms.floats()
                self._check(values)
            self.reporter.advance(len(batch.rows), values)
            if not self.accelerator.sync_gradients:
                continue
            progress.steps += 1
            reached = self.procedure.at_steps.get(progress.steps)
            if reached is not None or self.checkpoint.due():
                progress.seconds += time.perf_counter() - began
                if reached is not None:
                    reached(self.plain)
                    rest = sum(map(len, left[number + 1 :]))
                    if rest and not self._stopped():
                        # It may have shown a progress of its own, which ended that of the epoch.
                        self.reporter.start(epoch, rest)
                self._save()
                began = time.perf_counter()
            if self._stopped():
                break
        progress.seconds += time.perf_counter() - began
        self._check({name: float(total) for name, total in progress.sums.items()})

    def _step(self, batch: Batch) -> LossTerms:
        self.team.moment = self.progress.epoch * self.per_epoch + self.progress.batches
        for learner in self.learners.values():
            learner.begin(self.team.moment, len(batch.labels))
        with self.accelerator.accumulate(*(learner.model for learner in self.learners.values())):
            return self.procedure.step(self.team, batch)

    def _check(self, values: Mapping[str, float | Tensor]) -> None:
        for name, value in values.items():
            if not math.isfinite(value):
                raise DivergedError(
                    f"{self.stage}: the loss term '{name}' became {value} "
                    f"(learning rate {self.recipe.learning_rate}): lower the learning rate"
                )
