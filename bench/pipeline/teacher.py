"""The teacher of one task: fine-tuned once, checked, its signals cached."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from baselines import METHODS
from baselines.finetune import FineTune
from bench.config import RunConfig
from bench.pipeline.data import TaskRows
from bench.pipeline.reading import Reading
from reaugkd.artifacts.store import SCRATCH, Artifact, ArtifactStore
from reaugkd.batch import STUDENT
from reaugkd.context import Setup
from reaugkd.distiller import LIVE, Distiller, Shape, Signal
from reaugkd.errors import ModelError, UserError
from reaugkd.models import spec as model_spec
from reaugkd.models.encoder import Encoder
from reaugkd.models.spec import ModelSpec
from reaugkd.reporter import Reporter
from reaugkd.signals import TeacherSignals
from reaugkd.training import inference, loop
from reaugkd.training.checkpoint import Checkpoint
from reaugkd.training.loop import NO_OPTIONS, TrainingOptions, TrainingSummary

ENCODER = "encoder"

NOT_TRAINED = {"best_epoch": 0, "history": [], "seconds": 0.0, "steps": 0}
"""The facts of a training that there was not."""

Stamp = Callable[[tuple[float, float, float]], dict[str, Any]]
"""Provenance, as plain JSON, of something that was begun under the given load and ends now."""


class TeacherFloorError(UserError):
    """The teacher knows hardly more than the majority class: nothing can be distilled from it."""


class TaskTeacher:
    """The teacher of one task and what it says of every one of its ``rows``."""

    def __init__(
        self,
        config: RunConfig,
        rows: TaskRows,
        artifacts: ArtifactStore,
        reporter: Reporter,
        stamp: Stamp,
    ) -> None:
        self.config, self.rows, self.artifacts, self.reporter = config, rows, artifacts, reporter
        self.stamp, self.task = stamp, rows.task
        self.device = inference.device_of(config.device)
        self._refused: TeacherFloorError | None = None  # said once, not again for every cell

    @property
    def trains(self) -> bool:
        """Whether it is fine-tuned here."""
        return self.config.teacher.recipe.epochs > 0

    @property
    def embeds(self) -> bool:
        """Whether there are embeddings of a teacher for the rows."""
        return True

    @property
    def forwards(self) -> int:
        """Examples that go through a model of the run for the signals of fit."""
        return len(self.rows.data.fit)

    @property
    def has_model(self) -> bool:
        """Whether there is a model that reads the rows."""
        return True

    @property
    def init(self) -> str:
        """What the teacher starts from, in words."""
        return self.config.teacher.model.describe()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the results should know of it."""
        return () if self.trains else ("the teacher's head is not trained (0 epochs)",)

    def refuses(self, method: Distiller) -> str | None:
        """Why it cannot teach by ``method``, or None if it can."""
        if self.trains or not method.uses() & LIVE:
            return None
        return f"{method.name} trains its teacher, but a finished teacher is not trained"

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Plain JSON that decides the fine-tuned teacher."""
        teacher = self.config.teacher
        return {
            **self.rows.teacher.identity,
            "model": teacher.model.identity(),
            "recipe": teacher.recipe.identity(),
            "pooling": self.config.pooling,
            "seed": teacher.seed,
            **on(self.device),
        }

    @cached_property
    def artifact(self) -> Artifact:
        """The fine-tuned teacher, checked against the floor.

        Raises:
            TeacherFloorError: if it is hardly better than the majority class.
            ModelError: if its checkpoint has a head for another number of labels.
        """
        if self._refused is not None:
            raise self._refused.with_traceback(None)  # or it would grow with every cell
        artifact = self.artifacts.get("teacher", self.identity, self._make)
        scores = artifact.facts["scores"]
        for split, values in scores.items():
            shown = ", ".join(f"{name} {value:.4f}" for name, value in values.items())
            self.reporter.note(f"{self.task.title} teacher, {split}: {shown}")
        if self.config.teacher.floor == "majority" and "held_out" in scores:
            self._require_knowledge(scores)
        return artifact

    def _require_knowledge(self, scores: Mapping[str, Mapping[str, float]]) -> None:
        """Refuse to teach, now and later, if it is hardly better than the majority class."""
        name, margin = self.task.select_on, self.config.teacher.floor_margin
        score, majority = scores["held_out"][name], self.rows.majority["held_out"][name]
        if score < majority + margin:
            self._refused = TeacherFloorError(
                f"{self.task.title}: the teacher reaches {name} {score:.4f} on held-out rows; the "
                f"floor is {majority + margin:.4f} (majority class {majority:.4f} + margin "
                f"{margin}). Train it longer, lower teacher.floor_margin, or let it "
                "teach all the same with teacher.floor=none"
            )
            raise self._refused

    @cached_property
    def scores(self) -> dict[str, dict[str, float]]:
        """Split -> scores; of a teacher that was made for other metrics by its signals."""
        scores: dict[str, dict[str, float]] = self.artifact.facts["scores"]
        names = self.task.metrics
        if any(name not in values for values in scores.values() for name in names):
            signals = self.signals
            scores = {split: self.rows.scores(split, signals[split].logits) for split in scores}
        return {split: {name: values[name] for name in names} for split, values in scores.items()}

    def check_labels(self) -> None:
        """Raise ModelError if the teacher's checkpoint classifies into other classes."""
        self._say_notes()
        labels = model_spec.labels_of(self.config.teacher.model)
        if labels is not None and labels != self.task.outputs:
            raise ModelError(
                f"teacher '{self.config.teacher.model.source}' has a head of {labels} labels, "
                f"{self.task.title} needs {self.task.outputs}"
            )

    def _say_notes(self) -> None:
        for note in self.notes:
            self.reporter.note(f"{self.task.title}: {note}")

    def build(
        self, spec: ModelSpec, seed: int, reading: Reading, fine_tuned: Encoder | None = None
    ) -> Encoder:
        """A model with the task's head and a fresh seed, for the token ids of ``reading``.

        See ``model_spec.build_student``.
        """
        return model_spec.build_student(
            spec,
            self.config.teacher.model,
            fine_tuned,
            vocabulary=reading.vocabulary,
            outputs=self.task.outputs,
            pooling=self.config.pooling,
            seed=seed,
            pad_id=reading.pad_id,
        )

    def untrained(self) -> Encoder:
        """The teacher before it is fine-tuned."""
        return self.build(self.config.teacher.model, self.config.teacher.seed, self.rows.teacher)

    def outline(self) -> Encoder:
        """A model with the teacher's shape, for which nothing is trained."""
        return self.untrained()

    def encoder(self) -> Encoder:
        """A copy of the fine-tuned teacher."""
        return Encoder.from_pretrained(self.artifact.path / ENCODER)

    @cached_property
    def shape(self) -> tuple[Shape, int]:
        """Shape of the teacher and the number of tokens it can read; nothing is trained."""
        return shape_of(self.outline())

    def _make(self, folder: Path) -> dict[str, Any]:
        load, encoder = os.getloadavg(), self.untrained()
        result = None
        if self.trains:
            result = self.fine_tune(encoder, folder, f"{self.task.title} teacher")
        scores = self._scores(encoder)
        encoder.save_pretrained(folder / ENCODER)
        return {"scores": scores} | facts(encoder, result, self.stamp(load))

    def _scores(self, encoder: Encoder) -> dict[str, dict[str, float]]:
        """Split -> its scores there, for held-out and test splits."""
        rows, encoded = self.rows, self.rows.teacher.encoded
        precision, scores = self.config.teacher.recipe.decided_precision, {}
        for split in rows.queried:
            outputs = inference.run(
                encoder, encoded.splits[split], encoded.pad_id, precision=precision
            )
            scores[split] = rows.scores(split, outputs.logits)
        return scores

    def fine_tune(
        self, encoder: Encoder, folder: Path, stage: str, options: TrainingOptions = NO_OPTIONS
    ) -> TrainingSummary:
        """Train ``encoder`` on the true labels by the teacher's recipe; a killed one goes on."""
        config, encoded = self.config.teacher, self.rows.teacher.encoded
        setup = Setup(
            task=self.task,
            encoded={STUDENT: encoded},
            recipe=config.recipe,
            seed=config.seed,
            device=self.config.device,
            reporter=self.reporter,
        )
        checkpoint = Checkpoint(folder / SCRATCH, reporter=self.reporter)
        return loop.train(encoder, FineTune(), setup, options, checkpoint=checkpoint, stage=stage)

    @cached_property
    def signals_identity(self) -> dict[str, Any]:
        """Plain JSON that decides the teacher's signals."""
        return {**self.identity, "precision": self.config.teacher.recipe.decided_precision}

    @cached_property
    def signals(self) -> dict[str, TeacherSignals]:
        """The teacher's logits and embeddings of every row of every split: one pass, ever.

        If a method of the run wants the states of [CLS], the pass keeps those of ``fit`` too. They
        are large, so without such a method a pass that has no states will do.
        """
        _ = self.artifact  # outside of build: a teacher below the floor teaches nothing
        kinds = (METHODS[self.config.base(name)] for name in self.config.methods)
        states = any(Signal.STATES in kind.needs for kind in kinds)

        def build(folder: Path) -> dict[str, Any]:
            encoder, encoded = self.encoder().to(self.device), self.rows.teacher.encoded
            recipe, kept = self.config.teacher.recipe, {"fit"} if states else ()
            return inference.write_signals(
                encoder, encoded, folder, recipe.decided_precision, self.reporter, states=kept
            )

        plain, whole = self.signals_identity, {**self.signals_identity, "states": True}
        wanted = whole if states or self.artifacts.has("signals", whole) else plain
        artifact = self.artifacts.get("signals", wanted, build)
        return {
            split: TeacherSignals.open(artifact.path, split) for split in self.rows.data.splits()
        }


def on(device: torch.device) -> dict[str, str]:
    """What a device adds to an identity: on a GPU the same seed gives other numbers."""
    return {} if device.type == "cpu" else {"device": device.type}


def shape_of(encoder: Encoder) -> tuple[Shape, int]:
    """Shape of a model and the number of tokens it can read."""
    return Shape(encoder.width, encoder.depth), encoder.longest


def facts(encoder: Encoder, result: TrainingSummary | None, provenance: Any) -> dict[str, Any]:
    """What is worth keeping of a training run, or of a model that was not trained."""
    parameters = sum(p.numel() for p in encoder.parameters())
    if result is None:
        return {"provenance": provenance, **NOT_TRAINED, "parameters": parameters}
    return {
        "provenance": provenance,
        "best_epoch": result.epoch,
        "history": result.history,
        "seconds": result.seconds,
        "examples_per_second": result.examples / result.seconds,
        "steps": result.steps,
        "parameters": parameters,
    }
