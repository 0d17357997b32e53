"""The training loop: early stop by a named metric, exact resume, whatever a distiller does."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn

from reaugkd import memory, surroundings
from reaugkd.batch import STUDENT, Batch, LossTerms
from reaugkd.context import Context, Setup, stage_cost
from reaugkd.distiller import Distiller
from reaugkd.errors import UserError
from reaugkd.models import threads
from reaugkd.models.encoder import Encoder
from reaugkd.models.learner import Learner, Team
from reaugkd.signals import SignalSource
from reaugkd.tasks import metrics
from reaugkd.training import inference
from reaugkd.training.accelerator import accelerator_of
from reaugkd.training.batches import Collator, length_grouped, loader, window_weights
from reaugkd.training.checkpoint import Checkpoint, Progress

Evaluate = Callable[[Encoder], Mapping[str, float]]
LOG_EVERY = 10


class TrainingSummary(NamedTuple):
    """What training leaves behind besides the model, which holds its best weights.

    Attributes:
        score, epoch: best held-out value of the selection metric, and its epoch from 1.
        history: one row per epoch: mean of every loss term, held-out scores.
        seconds, examples: time in the loop itself, without evaluation, and examples in that time.
        work: learner -> examples that went forward and backward through it.
        peak_bytes: most memory meanwhile (since the last resume), None where it cannot be told.
    """

    score: float
    epoch: int
    history: list[dict[str, float]]
    seconds: float
    examples: int
    steps: int
    work: dict[str, dict[str, int]]
    peak_bytes: int | None

    def cost(self, forwards: int = 0) -> dict[str, Any]:
        """As the cost of a stage, with ``forwards`` examples besides those of training."""
        forwards += sum(counts["forwards"] for counts in self.work.values())
        backwards = sum(counts["backwards"] for counts in self.work.values())
        return stage_cost(self.seconds, forwards, backwards, self.peak_bytes)


class DivergedError(UserError):
    """The loss is not finite any more."""


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """What a training run may be asked besides.

    Attributes:
        source: of the signals that the distiller's steps are handed.
        companions: what is trained beside the model, by name.
        adapter: further parameters of the model's optimiser.
        rows: the rows of ``fit`` to learn from, all by default.
        at_steps: optimiser step -> called with the model when so many steps are done.
        until: end after so many optimiser steps; the schedule is that of the whole run.
        keep: which weights the model is left with, those of its ``best`` epoch or the ``last``.
        evaluate: scores of the model, after every epoch; by default those of ``held_out``.
    """

    source: SignalSource | None = None
    companions: Mapping[str, Learner] = field(default_factory=dict)
    adapter: nn.Module | None = None
    rows: NDArray[np.int64] | None = None
    at_steps: Mapping[int, Callable[[Encoder], None]] = field(default_factory=dict)
    until: int | None = None
    keep: Literal["best", "last"] = "best"
    evaluate: Evaluate | None = None


NO_OPTIONS = TrainingOptions()


def distil(
    distiller: Distiller, context: Context, student: Encoder, *, checkpoint: Checkpoint, stage: str
) -> TrainingSummary:
    """Prepare ``distiller`` and train ``student`` in place by it, to its best held-out epoch.

    Stages that are cached already are not repeated, and an existing checkpoint is resumed.
    """
    source = distiller.prepare(context)
    distiller.initialise(student)
    options = TrainingOptions(
        source=distiller.cached(context) if source is None else source,
        companions=distiller.companions(context),
        adapter=distiller.adapter(context),
        rows=distiller.rows(context),
    )
    return train(student, distiller, context, options, checkpoint=checkpoint, stage=stage)


def train(
    model: Encoder,
    distiller: Distiller,
    setup: Setup,
    options: TrainingOptions = NO_OPTIONS,
    *,
    checkpoint: Checkpoint,
    stage: str = "train",
) -> TrainingSummary:
    """Train ``model`` in place on ``fit`` and leave it with the best weights of all epochs.

    Everything random comes from torch's generator, seeded here and restored afterwards. A run that
    was killed goes on from its last checkpoint and ends with the same weights as one that was not.
    The model stands as the team's student, whichever model of the run it is; ``distiller`` is
    prepared and initialised. A DivergedError tells that the loss is not finite.
    """
    with surroundings.alone(), surroundings.exact(), torch.random.fork_rng():
        torch.manual_seed(setup.seed)
        run = _Run(model, distiller, setup, options, checkpoint, accelerator_of(setup), stage)
        tokens = setup.recipe.batch_size * float(run.lengths.sum()) / max(1, len(run.lengths))
        models = [learner.plain for learner in run.learners.values()]
        widths = [each.width for each in models if isinstance(each, Encoder)]
        with threads.fitting(widths, tokens):
            return run(options.evaluate or scorer(setup))


def scorer(setup: Setup) -> Evaluate:
    """A function that scores a model on ``held_out`` by the metrics of the task."""
    held_out, precision = setup.splits["held_out"], setup.recipe.decided_precision
    labels = np.asarray(held_out["label"][:])

    def evaluate(model: Encoder) -> Mapping[str, float]:
        outputs = inference.run(model, held_out, setup.pad_id, precision=precision)
        return metrics.of_logits(setup.task, outputs.logits, labels)

    return evaluate


class _Run:
    """The state of one call of :func:`train`."""

    def __init__(
        self,
        model: Encoder,
        distiller: Distiller,
        setup: Setup,
        options: TrainingOptions,
        checkpoint: Checkpoint,
        accelerator: Accelerator,
        stage: str,
    ) -> None:
        self.plain, self.distiller, self.setup, self.options = model, distiller, setup, options
        self.checkpoint, self.accelerator, self.stage = checkpoint, accelerator, stage
        self.recipe, self.reporter = setup.recipe, setup.reporter
        fit = setup.splits["fit"]
        self.rows = np.arange(len(fit)) if options.rows is None else options.rows
        self.lengths, self.size = np.asarray(fit["length"][:])[self.rows], len(fit)
        self.collator = collator(setup, {other.reads for other in options.companions.values()})
        student = Learner(
            model, self.recipe, adapter=options.adapter, states=distiller.wants_states
        )
        self.team = Team(student, options.companions, seed=setup.seed)
        self.learners = {STUDENT: student, **options.companions}
        self.per_epoch = math.ceil(len(self.rows) / self.recipe.batch_size)
        total = self.recipe.steps(len(self.rows))
        for number, learner in enumerate(self.learners.values()):
            learner.attach(accelerator, total, stream=number and 1000 * setup.seed + number)
        resumed = checkpoint.resume(accelerator)
        self.progress = resumed or Progress()
        if resumed is not None:
            distiller.restore(resumed.state)
        for name, learner in self.learners.items():
            learner.forwards, learner.backwards = self.progress.work.get(name, (0, 0))

    def __call__(self, evaluate: Evaluate) -> TrainingSummary:
        progress = self.progress
        memory.reset_peak(self.accelerator.device)
        while not self._over():
            self._epoch()
            self.reporter.finish()
            if self._stopped():
                break
            scores = evaluate(self.plain)
            means = {name: total / progress.batches for name, total in progress.sums.items()}
            last = self.options.keep == "last"
            progress.close_epoch(means, scores, self.setup.task.select_on, keep=last)
            self._save(best=progress.best_epoch == progress.epoch)
            shown = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
            self.reporter.note(f"{self.stage}: epoch {progress.epoch}, held-out {shown}")
        if progress.best_epoch:
            self.checkpoint.load_best(self.plain)
        return TrainingSummary(
            progress.best_score,
            progress.best_epoch,
            progress.history,
            progress.seconds,
            progress.examples,
            progress.steps,
            {
                name: {"forwards": learner.forwards, "backwards": learner.backwards}
                for name, learner in self.learners.items()
            },
            memory.peak(self.accelerator.device),
        )

    def _stopped(self) -> bool:
        return self.options.until is not None and self.progress.steps >= self.options.until

    def _over(self) -> bool:
        stale = self.progress.epoch - self.progress.best_epoch
        impatient = 0 < self.recipe.patience <= stale
        return self.progress.epoch >= self.recipe.epochs or impatient or self._stopped()

    def _save(self, *, best: bool = False) -> None:
        self.progress.work = {
            name: [learner.forwards, learner.backwards] for name, learner in self.learners.items()
        }
        self.progress.state = dict(self.distiller.state())
        self.checkpoint.save(self.accelerator, self.plain, self.progress, best=best)

    def _batches(self) -> tuple[list[list[int]], list[float]]:
        """The batches of this epoch that are left, and the weight of each in its window."""
        size, done = self.recipe.batch_size, self.progress.batches
        order = length_grouped(self.lengths, size, self.setup.seed, self.progress.epoch)
        weights = window_weights([len(batch) for batch in order], self.recipe.accumulation)
        return [self.rows[batch].tolist() for batch in order[done:]], weights[done:]

    def _epoch(self) -> None:
        progress, (left, weights) = self.progress, self._batches()
        self.distiller.begin_epoch(progress.epoch, self.recipe.epochs)
        batches = self.accelerator.prepare(loader(left, self.collator, self.size))
        epoch = f"{self.stage}: epoch {progress.epoch + 1}/{self.recipe.epochs}"
        self.reporter.start(epoch, sum(map(len, left)))
        began, values = time.perf_counter(), {}
        for number, batch in enumerate(batches):
            terms = self._step(batch, weights[number])
            progress.count(terms, len(batch.rows))
            if number % LOG_EVERY == 0:
                values = terms.floats()
                self._check(values)
            self.reporter.advance(len(batch.rows), values)
            if not self.accelerator.sync_gradients:
                continue
            progress.steps += 1
            reached = self.options.at_steps.get(progress.steps)
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

    def _step(self, batch: Batch, weight: float) -> LossTerms:
        self.team.moment = self.progress.epoch * self.per_epoch + self.progress.batches
        for learner in self.learners.values():
            learner.begin(self.team.moment, len(batch.labels), weight)
        source = self.options.source
        with self.accelerator.accumulate(*(learner.model for learner in self.learners.values())):
            signals = None if source is None else source.batch(batch)
            return self.distiller.step(self.team, batch, signals)

    def _check(self, values: Mapping[str, float | Tensor]) -> None:
        for name, value in values.items():
            if not math.isfinite(value):
                raise DivergedError(
                    f"{self.stage}: the loss term '{name}' became {value} "
                    f"(learning rate {self.recipe.learning_rate}): lower the learning rate"
                )


def collator(setup: Setup, readers: set[str]) -> Collator:
    """The collator of ``fit``; readers that share the student's rows add nothing to a batch."""
    student = setup.encoded[STUDENT]
    others = {
        reader: Collator(setup.encoded[reader].splits["fit"], setup.encoded[reader].pad_id)
        for reader in sorted(readers)
        if reader != STUDENT and setup.encoded[reader] is not student
    }
    return Collator(student.splits["fit"], student.pad_id, others)
