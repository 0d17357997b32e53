"""From a task's rows to a student's outputs and a searched knowledge base, each step made once.

One pipeline serves all cells of one task in one process. Every expensive step is an artefact, so
another process, another run or the same run after a kill finds it instead of repeating it.
"""

from __future__ import annotations

import os
import time
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from baselines import METHODS
from bench.config import RunConfig
from bench.rows import TaskRows
from bench.teaching import ENCODER, Stamp, TaskTeacher, facts, on
from reaugkd import inference, model_spec
from reaugkd import teacher as teachers
from reaugkd.artifacts import SCRATCH, Artifact, ArtifactStore
from reaugkd.checkpoint import Checkpoint
from reaugkd.distiller import Context, Distiller
from reaugkd.errors import ModelError
from reaugkd.inference import Outputs
from reaugkd.model_spec import PRETRAINED, TEACHER, ModelSpec
from reaugkd.models import Encoder
from reaugkd.reporter import Reporter
from reaugkd.tasks.task import Task


class TaskPipeline:
    """The steps for one task.

    Args:
        config: resolved for this task (:func:`bench.settings.resolve`).
        artifacts: where steps are kept.
        reporter: told of progress.
        stamp: provenance of what is made now, kept with teachers and students.
    """

    def __init__(
        self, config: RunConfig, artifacts: ArtifactStore, reporter: Reporter, stamp: Stamp
    ) -> None:
        self.config, self.artifacts, self.reporter = config, artifacts, reporter
        self.rows, self.stamp = TaskRows(config, artifacts), stamp
        self.teacher = TaskTeacher(config, self.rows, artifacts, reporter, stamp)
        self.task: Task = self.rows.task

    def settings(self, method: str) -> dict[str, Any]:
        """The method's settings, defaults included, as plain JSON."""
        settings: dict[str, Any] = self.method(method).settings.model_dump(mode="json")
        return settings

    def method(self, name: str) -> Distiller:
        """A fresh distiller with the settings of this run, not yet prepared."""
        kind = METHODS[name]
        return kind(kind.Settings.model_validate(self.config.settings.get(name, {})))

    @property
    def student_init(self) -> str:
        """What the student starts from, in words."""
        return self.config.student.model.describe(self.config.teacher.model)

    def student_identity(self, method: str, seed: int) -> dict[str, Any]:
        """Plain JSON that decides a student: what it does not depend on is left out."""
        student = self.config.student
        identity = {
            **self.rows.identity,
            "method": method,
            "settings": self.settings(method),
            "student": student.model.identity(),
            "recipe": student.recipe.model_dump(mode="json"),
            "pooling": self.config.pooling,
            "seed": seed,
            **on(self.teacher.device),
        }
        if METHODS[method].needs:
            identity["teacher"] = self.teacher.signals_identity
        elif student.model.source == TEACHER:
            identity["teacher"] = self.teacher.identity
        elif student.model.source == PRETRAINED:
            identity["pretrained"] = self.config.teacher.model.identity()
        return identity

    def distiller(self, method: str, seed: int) -> tuple[Distiller, float]:
        """The method, prepared, and the seconds that its own stages took."""
        distiller = self.method(method)
        fit = self.teacher.signals["fit"] if distiller.needs else None
        began = time.perf_counter()
        distiller.prepare(
            Context(
                task=self.task,
                labels=self.rows.labels("fit"),
                signals=fit,
                student_width=self.student_width,
                artifacts=self.artifacts,
                identity=self.teacher.signals_identity if distiller.needs else self.rows.identity,
                seed=seed,
                reporter=self.reporter,
            )
        )
        return distiller, time.perf_counter() - began

    def _fresh_student(self, seed: int) -> Encoder:
        spec = self.config.student.model
        fine_tuned = None
        if spec.source == TEACHER:
            fine_tuned = Encoder.from_pretrained(self.teacher.artifact.path / ENCODER)
        return self._untrained(spec, fine_tuned, seed)

    def _untrained(
        self, spec: ModelSpec, fine_tuned: Encoder | None = None, seed: int = 0
    ) -> Encoder:
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

    @cached_property
    def _student_shape(self) -> tuple[int, int]:
        spec, teacher = self.config.student.model, None
        if spec.source == TEACHER:
            teacher = self._untrained(self.config.teacher.model)
        encoder = self._untrained(spec, teacher)
        return encoder.width, encoder.longest

    @property
    def student_width(self) -> int:
        """H_s, the width of the student's embedding; nothing is trained for it."""
        return self._student_shape[0]

    def check_models(self, *, taught: bool) -> dict[str, int]:
        """Build the models, untrained, so that what does not fit shows before anything trains.

        Args:
            taught: whether a method needs the teacher.

        Returns:
            Width of the embedding of ``student`` and, where it is needed, ``teacher``.

        Raises:
            ModelError: a model that cannot be loaded, has a head for other labels, a smaller
                vocabulary than the tokenizer, fewer positions than ``data.max_length``, or not
                the layers that are asked for.
        """
        widths = {"student": (self.student_width, self._student_shape[1])}
        if taught or self.config.student.model.source == TEACHER:
            self.teacher.check_labels()
            encoder = self._untrained(self.config.teacher.model)
            widths["teacher"] = (encoder.width, encoder.longest)
        wanted = self.config.data.max_length
        for name, (_, longest) in widths.items():
            if longest < wanted:
                raise ModelError(f"the {name} reads {longest} tokens, data.max_length is {wanted}")
        return {name: width for name, (width, _) in widths.items()}

    def student(self, method: str, seed: int) -> Artifact:
        """A trained student with its outputs on held-out and test splits."""

        def build(folder: Path) -> dict[str, Any]:
            return self._train_student(folder, method, seed)

        return self.artifacts.get("student", self.student_identity(method, seed), build)

    def _train_student(self, folder: Path, method: str, seed: int) -> dict[str, Any]:
        distiller, prepare_seconds = self.distiller(method, seed)
        fit = self.teacher.signals["fit"] if distiller.needs else None
        recipe, load = self.config.student.recipe, os.getloadavg()
        encoder = self._fresh_student(seed)
        result = teachers.fine_tune(
            self.task,
            encoder,
            self.rows.splits,
            self.rows.pad_id,
            recipe,
            loss=lambda output, batch: distiller.loss(
                output, fit.batch(batch.rows) if fit else None, batch
            ),
            seed=seed,
            checkpoint=Checkpoint(folder / SCRATCH, reporter=self.reporter),
            device=self.config.device,
            stage=f"{self.task.title} {method} seed {seed}",
            reporter=self.reporter,
        )
        scores = {}
        for split in self.rows.queried:
            outputs = self._encode(encoder, split, folder, f"{method}: {split}")
            scores[split] = self.rows.scores(split, outputs.logits)
        encoder.save_pretrained(folder / ENCODER)
        self.rows.tokenizer.save_pretrained(folder / ENCODER)
        return {
            "scores": scores,
            "provenance": self.stamp(load),
            "prepare_seconds": prepare_seconds,
            **facts(encoder, result),
        }

    def _encode(self, encoder: Encoder, split: str, folder: Path, stage: str) -> Outputs:
        return inference.run(
            encoder,
            self.rows.splits[split],
            self.rows.pad_id,
            precision=self.config.student.recipe.precision,
            into=folder / split,
            stage=stage,
            reporter=self.reporter,
        )

    def outputs(self, method: str, seed: int, split: str) -> Outputs:
        """A trained student's outputs on ``split``, memory-mapped; ``fit`` only if asked for."""
        student = self.student(method, seed)

        def build(folder: Path) -> None:
            encoder = Encoder.from_pretrained(student.path / ENCODER).to(self.teacher.device)
            self._encode(encoder, split, folder, f"{method}: {split}")

        folder = student.path
        if split == "fit":
            folder = self.artifacts.get("student-fit", dict(student.identity), build).path
        tables = (
            np.load(folder / f"{split}.{name}.npy", mmap_mode="r") for name in Outputs._fields
        )
        return Outputs(*tables)
