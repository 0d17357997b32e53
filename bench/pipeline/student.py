"""From a task's rows to a student's outputs and a searched knowledge base, each step made once.

One pipeline serves all cells of one task in one process. Every expensive step is an artefact, so
another process, another run or the same run after a kill finds it instead of repeating it.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from baselines import METHODS
from bench.config import RunConfig
from bench.pipeline import cost
from bench.pipeline.data import TaskRows
from bench.pipeline.teacher import ENCODER, Stamp, TaskTeacher, facts, on
from reaugkd.artifacts.store import SCRATCH, Artifact, ArtifactStore
from reaugkd.context import Context, Models
from reaugkd.distiller import CACHED, Conditions, Distiller, Shape, Signal
from reaugkd.errors import ModelError
from reaugkd.method import ReAugKD
from reaugkd.models.encoder import Encoder
from reaugkd.models.spec import PRETRAINED, TEACHER, ModelSpec
from reaugkd.reporter import Reporter
from reaugkd.tasks.task import Task
from reaugkd.training import inference
from reaugkd.training.checkpoint import Checkpoint
from reaugkd.training.distil import distil
from reaugkd.training.inference import Outputs


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
        kind = self.kind(name)
        return kind(kind.Settings.model_validate(self.config.settings_of(name)))

    def kind(self, name: str) -> type[Distiller]:
        """The class behind the name of a method or of a variant."""
        return METHODS[self.config.base(name)]

    def prepared(self, name: str, seed: int) -> Distiller:
        """The method after its stages, for what it can do with them besides training."""
        distiller = self.method(name)
        distiller.prepare(self.context(name, seed))
        return distiller

    def projector(self, name: str) -> str:
        """The method that projects teacher embeddings for the students of ``name``.

        Its own if it is made to retrieve, otherwise ReAugKD with the settings of this run: a
        student that was not aligned then queries the very keys that ReAugKD's students query.
        """
        return name if self.kind(name).retrieves else ReAugKD.name

    def queries(self, name: str) -> bool:
        """Whether the students of ``name`` query a knowledge base in this run."""
        return self.config.retrieval.methods == "all" or self.kind(name).retrieves

    @property
    def student_init(self) -> str:
        """What the student starts from, in words."""
        return self.config.student.model.describe(self.config.teacher.model)

    def student_identity(self, method: str, seed: int) -> dict[str, Any]:
        """Plain JSON that decides a student: what it does not depend on is left out."""
        student = self.config.student
        identity = {
            **self.rows.identity,
            "method": self.config.base(method),
            "settings": self.settings(method),
            "recipe": student.recipe.model_dump(mode="json"),
            "seed": seed,
            **self._student_start,
        }
        further = self.method(method).further_models()
        if further:
            identity["models"] = [spec.identity() for spec in further]
        needs = self.needs(method)
        if needs:
            identity["teacher"] = self._taught_by(needs)
            identity.pop("pretrained", None)  # the teacher's identity says it
        return identity

    def needs(self, name: str) -> frozenset[Signal]:
        """What the method uses of the teacher under its settings."""
        return self.method(name).uses()

    @property
    def _student_start(self) -> dict[str, Any]:
        """Plain JSON that decides a fresh student but for its seed."""
        spec = self.config.student.model
        start: dict[str, Any] = {"student": spec.identity(), "pooling": self.config.pooling}
        start |= on(self.teacher.device)
        if spec.source == TEACHER:
            start["teacher"] = self.teacher.identity
        elif spec.source == PRETRAINED:
            start["pretrained"] = self.config.teacher.model.identity()
        return start

    def _taught_by(self, needs: frozenset[Signal]) -> dict[str, Any]:
        """Plain JSON that decides what a method is taught by, and the data."""
        return self.teacher.signals_identity if needs & CACHED else self.teacher.identity

    def context(self, method: str, seed: int) -> Context:
        """What the method may use while it prepares."""
        config, needs = self.config, self.needs(method)
        return Context(
            task=self.task,
            splits=self.rows.splits,
            pad_id=self.rows.pad_id,
            signals=self.teacher.signals["fit"] if needs & CACHED else None,
            models=Models(
                student=self._fresh_student,
                teacher=self.teacher.encoder,
                untrained=self.teacher.untrained,
                build=self._model,
                student_shape=self._student_shape[0],
                teacher_shape=self.teacher.shape[0],
                student_identity=self._student_start,
            ),
            artifacts=self.artifacts,
            identity=self._taught_by(needs)
            if needs
            else {**self.rows.identity, **self._student_start},
            recipe=config.student.recipe,
            teacher_recipe=config.teacher.recipe,
            teacher_seed=config.teacher.seed,
            seed=seed,
            device=config.device,
            reporter=self.reporter,
        )

    def unsupported(self, method: str) -> str | None:
        """Why the method cannot run here, or None if it can."""
        recipe = self.config.student.recipe
        return self.method(method).unsupported(
            Conditions(
                self.task,
                self._student_shape[0],
                self.teacher.shape[0] if self.needs(method) else None,
                recipe.batch_size,
                recipe.accumulation,
                recipe.epochs,
            )
        )

    def _fresh_student(self, seed: int) -> Encoder:
        return self._model(self.config.student.model, seed)

    def _model(self, spec: ModelSpec, seed: int) -> Encoder:
        fine_tuned = self.teacher.encoder() if spec.source == TEACHER else None
        return self.teacher.build(spec, seed, fine_tuned)

    @cached_property
    def _student_shape(self) -> tuple[Shape, int]:
        return self._shape(self.config.student.model)

    def _shape(self, spec: ModelSpec) -> tuple[Shape, int]:
        like = self.teacher.untrained() if spec.source == TEACHER else None
        encoder = self.teacher.build(spec, 0, like)
        return Shape(encoder.width, encoder.depth), encoder.longest

    @property
    def student_width(self) -> int:
        """H_s, the width of the student's embedding; nothing is trained for it."""
        return self._student_shape[0].width

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
        found = {"student": self._student_shape}
        if taught or self.config.student.model.source == TEACHER:
            self.teacher.check_labels()
            found["teacher"] = self.teacher.shape
        wanted = self.config.data.max_length
        for name, (_, longest) in {**found, **self._further_shapes()}.items():
            if longest < wanted:
                raise ModelError(f"the {name} reads {longest} tokens, data.max_length is {wanted}")
        return {name: shape.width for name, (shape, _) in found.items()}

    def _further_shapes(self) -> dict[str, tuple[Shape, int]]:
        """Shape and longest text of what the methods' settings name; nothing is trained."""
        shapes = {}
        for method in self.config.methods:
            for spec in self.method(method).further_models():
                name = f"model '{spec.describe()}' of {method}"
                try:
                    shapes[name] = self._shape(spec)
                except ModelError as error:
                    raise ModelError(f"{name}: {error}") from error
        return shapes

    def student(self, method: str, seed: int) -> Artifact:
        """A trained student with its outputs on held-out and test splits."""

        def build(folder: Path) -> dict[str, Any]:
            return self._train_student(folder, method, seed)

        return self.artifacts.get("student", self.student_identity(method, seed), build)

    def _train_student(self, folder: Path, method: str, seed: int) -> dict[str, Any]:
        context = self.context(method, seed)
        load, encoder = os.getloadavg(), self._fresh_student(seed)
        result = distil(
            self.method(method),
            context,
            encoder,
            checkpoint=Checkpoint(folder / SCRATCH, reporter=self.reporter),
            stage=f"{self.task.title} {method} seed {seed}",
        )
        cached = len(self.rows.splits["fit"]) if self.needs(method) & CACHED else 0
        scores = {}
        for split in self.rows.queried:
            outputs = self._encode(encoder, split, folder, f"{method}: {split}")
            scores[split] = self.rows.scores(split, outputs.logits)
        encoder.save_pretrained(folder / ENCODER)
        self.rows.tokenizer.save_pretrained(folder / ENCODER)
        return {
            "scores": scores,
            "provenance": self.stamp(load),
            "cost": cost.of_student(result, context.stages, cached),
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
