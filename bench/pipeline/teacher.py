"""The teacher of one task: fine-tuned once, checked, its signals cached."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from baselines import METHODS
from bench.config import RunConfig
from bench.pipeline.data import TaskRows
from reaugkd import signals
from reaugkd.artifacts.store import SCRATCH, Artifact, ArtifactStore
from reaugkd.distiller import Shape, Signal
from reaugkd.errors import ModelError
from reaugkd.models import spec as model_spec
from reaugkd.models.encoder import Encoder
from reaugkd.models.spec import ModelSpec
from reaugkd.reporter import Reporter
from reaugkd.signals import TeacherSignals
from reaugkd.training import inference
from reaugkd.training import teacher as teachers
from reaugkd.training.checkpoint import Checkpoint
from reaugkd.training.loop import TrainingResult
from reaugkd.training.teacher import TeacherFloorError

ENCODER = "encoder"

Stamp = Callable[[tuple[float, float, float]], dict[str, Any]]
"""Provenance, as plain JSON, of something that was begun under the given load and ends now."""


class TaskTeacher:
    """The teacher of one task and what it says of every row.

    Args:
        config: resolved for this task.
        rows: the rows it learns from and speaks about.
        artifacts: where it is kept.
        reporter: told of progress.
        stamp: provenance of what is made now, kept with the teacher.
    """

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
        self._refused: TeacherFloorError | None = None

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Plain JSON that decides the fine-tuned teacher."""
        teacher = self.config.teacher
        return {
            **self.rows.identity,
            "model": teacher.model.identity(),
            "recipe": teacher.recipe.model_dump(mode="json"),
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
        artifact = self.artifacts.get("teacher", self.identity, self._fine_tune)
        scores = artifact.facts["scores"]
        for split, values in scores.items():
            shown = ", ".join(f"{name} {value:.4f}" for name, value in values.items())
            self.reporter.note(f"{self.task.title} teacher, {split}: {shown}")
        name, margin = self.task.select_on, self.config.teacher.floor_margin
        majority = self.rows.majority["held_out"][name]
        try:
            teachers.check_floor(self.task, scores["held_out"][name], majority, margin)
        except TeacherFloorError as error:
            self._refused = error  # said once, not again for every cell
            raise
        return artifact

    def check_labels(self) -> None:
        """Raise ModelError if the teacher's checkpoint classifies into other classes."""
        found = model_spec.labels_of(self.config.teacher.model)
        if found is not None and found != self.task.outputs:
            raise ModelError(
                f"teacher '{self.config.teacher.model.source}' has a head of {found} labels, "
                f"{self.task.title} needs {self.task.outputs}"
            )

    def build(self, spec: ModelSpec, seed: int, fine_tuned: Encoder | None = None) -> Encoder:
        """A model with the task's head and a fresh seed; see ``model_spec.build_student``."""
        return model_spec.build_student(
            spec,
            self.config.teacher.model,
            fine_tuned,
            vocabulary=len(self.rows.tokenizer),
            outputs=self.task.outputs,
            pooling=self.config.pooling,
            seed=seed,
            pad_id=self.rows.pad_id,
        )

    def untrained(self) -> Encoder:
        """The teacher before it is fine-tuned."""
        return self.build(self.config.teacher.model, self.config.teacher.seed)

    def encoder(self) -> Encoder:
        """A copy of the fine-tuned teacher."""
        return Encoder.from_pretrained(self.artifact.path / ENCODER)

    @cached_property
    def shape(self) -> tuple[Shape, int]:
        """Shape of the teacher and the number of tokens it can read; nothing is trained."""
        encoder = self.untrained()
        return Shape(encoder.width, encoder.depth), encoder.longest

    def _fine_tune(self, folder: Path) -> dict[str, Any]:
        config, load = self.config.teacher, os.getloadavg()
        encoder = self.untrained()
        result = teachers.fine_tune(
            self.task,
            encoder,
            self.rows.splits,
            self.rows.pad_id,
            config.recipe,
            seed=config.seed,
            checkpoint=Checkpoint(folder / SCRATCH, reporter=self.reporter),
            device=self.config.device,
            stage=f"{self.task.title} teacher",
            reporter=self.reporter,
        )
        precision = config.recipe.precision
        scores = {
            split: self.rows.scores(
                split,
                inference.run(
                    encoder, self.rows.splits[split], self.rows.pad_id, precision=precision
                ).logits,
            )
            for split in self.rows.queried
        }
        encoder.save_pretrained(folder / ENCODER)
        return {"scores": scores, "provenance": self.stamp(load), **facts(encoder, result)}

    @cached_property
    def signals_identity(self) -> dict[str, Any]:
        """Plain JSON that decides the teacher's signals."""
        return {**self.identity, "precision": self.config.teacher.recipe.precision}

    @cached_property
    def signals(self) -> dict[str, TeacherSignals]:
        """The teacher's logits and embeddings of every row of every split: one pass, ever.

        If a method of the run wants the states of [CLS], the pass keeps those of ``fit`` too. They
        are large, so without such a method a pass that has no states will do.
        """
        teacher = self.artifact  # outside of build: a teacher below the floor teaches nothing
        states = any(
            Signal.STATES in METHODS[self.config.base(name)].needs for name in self.config.methods
        )

        def build(folder: Path) -> dict[str, Any]:
            encoder = Encoder.from_pretrained(teacher.path / ENCODER).to(self.device)
            return signals.write(
                encoder,
                self.rows.splits,
                self.rows.pad_id,
                folder,
                self.config.teacher.recipe.precision,
                self.reporter,
                states={"fit"} if states else (),
            )

        plain, whole = self.signals_identity, {**self.signals_identity, "states": True}
        wanted = whole if states or self.artifacts.has("signals", whole) else plain
        artifact = self.artifacts.get("signals", wanted, build)
        return {split: TeacherSignals.open(artifact.path, split) for split in self.rows.splits}


def on(device: torch.device) -> dict[str, str]:
    """What a device adds to an identity: on a GPU the same seed gives other numbers."""
    return {} if device.type == "cpu" else {"device": device.type}


def facts(encoder: Encoder, result: TrainingResult) -> Mapping[str, Any]:
    """What is worth keeping of a training run."""
    return {
        "best_epoch": result.epoch,
        "history": result.history,
        "seconds": result.seconds,
        "examples_per_second": result.examples / result.seconds,
        "steps": result.steps,
        "parameters": sum(p.numel() for p in encoder.parameters()),
    }
