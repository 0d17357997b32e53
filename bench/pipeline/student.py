"""From a task's rows to a student's outputs and a searched knowledge base, each step made once.

One pipeline serves all cells of one task in one process. Every expensive step is an artefact, so
another process, another run or the same run after a kill finds it instead of repeating it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from baselines import METHODS
from bench.config import RunConfig
from bench.pipeline.data import TaskRows
from bench.pipeline.reading import Reading
from bench.pipeline.teacher import ENCODER, Stamp, facts, on, shape_of
from bench.pipeline.teachers import teacher_of
from reaugkd.artifacts.store import SCRATCH, Artifact, ArtifactStore
from reaugkd.batch import STUDENT
from reaugkd.context import Context, Models, reader_of
from reaugkd.distiller import CACHED, Conditions, Distiller, Shape, Signal
from reaugkd.errors import ModelError
from reaugkd.method import ReAugKD
from reaugkd.models.encoder import Encoder
from reaugkd.models.spec import PRETRAINED, TEACHER, ModelSpec
from reaugkd.reporter import Reporter
from reaugkd.tasks.encode import Encoded
from reaugkd.tasks.task import Task
from reaugkd.training import inference
from reaugkd.training.checkpoint import Checkpoint
from reaugkd.training.inference import Outputs
from reaugkd.training.loop import TrainingSummary, distil


class TaskPipeline:
    """The steps for the one task that ``config`` is resolved for; ``artifacts`` keeps them."""

    def __init__(
        self, config: RunConfig, artifacts: ArtifactStore, reporter: Reporter, stamp: Stamp
    ) -> None:
        self.config, self.artifacts, self.reporter = config, artifacts, reporter
        self.rows, self.stamp = TaskRows(config, artifacts), stamp
        self.teacher = teacher_of(config, self.rows, artifacts, reporter, stamp)
        self.task: Task = self.rows.task

    def method(self, name: str) -> Distiller:
        """A fresh distiller with the settings of this run, not yet prepared."""
        kind = METHODS[self.config.base(name)]
        return kind(kind.Settings.model_validate(self.config.settings_of(name)))

    def settings(self, name: str) -> dict[str, Any]:
        """The settings of a method, defaults included, as plain JSON."""
        return dict(self.method(name).settings.model_dump(mode="json"))

    def projector(self, name: str) -> str:
        """The method that projects teacher embeddings for the students of ``name``.

        Its own if it is made to retrieve, otherwise ReAugKD with the settings of this run: a
        student that was not aligned then queries the very keys that ReAugKD's students query.
        """
        return name if METHODS[self.config.base(name)].retrieves else ReAugKD.name

    def queries(self, name: str) -> bool:
        """Whether the students of ``name`` query a knowledge base in this run."""
        return self.config.retrieval.methods == "all" or METHODS[self.config.base(name)].retrieves

    @property
    def student_init(self) -> str:
        """What the student starts from, in words."""
        return self.config.student.model.describe(self.config.teacher.model)

    def student_identity(self, method: str, seed: int) -> dict[str, Any]:
        """Plain JSON that decides a student: what it does not depend on is left out."""
        student = self.config.student
        identity = {
            **self.rows.student.identity,
            "method": self.config.base(method),
            "settings": self.settings(method),
            "recipe": student.recipe.model_dump(mode="json"),
            "seed": seed,
            **self._student_start,
        }
        if further := self.method(method).further_models():
            identity["models"] = [spec.identity() for spec in further]
        if needs := self.needs(method):
            identity["teacher"] = self._taught_by(needs)
            if self.teacher.has_model:
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
        if self.rows.student not in self.rows.of_teacher:
            start["tokenizer"] = self.rows.student.identity["tokenizer"]  # decides random weights
        if spec.source == TEACHER:
            start["teacher"] = self.teacher.identity
        elif spec.source == PRETRAINED:
            start["pretrained"] = self.config.teacher.model.identity()
        return start

    def _taught_by(self, needs: frozenset[Signal]) -> dict[str, Any]:
        return self.teacher.signals_identity if needs & CACHED else self.teacher.identity

    def _stage_identity(self, needs: frozenset[Signal]) -> dict[str, Any]:
        """Plain JSON that decides what the stages of a method are made of."""
        if not needs:
            return {**self.rows.student.identity, **self._student_start}
        if self.teacher.has_model:
            return self._taught_by(needs)
        # What a black box said depends on no tokens, unlike the models of a stage.
        return {**self._taught_by(needs), "max_length": self.config.data.max_length}

    def context(self, method: str, seed: int) -> Context:
        """What the method may use while it prepares."""
        config, needs = self.config, self.needs(method)
        return Context(
            task=self.task,
            encoded=self._encoded(method),
            signals=self.teacher.signals["fit"] if needs & CACHED else None,
            models=Models(
                student=lambda seed: self._model(config.student.model, seed, self.rows.student),
                teacher=self.teacher.encoder,
                untrained=self.teacher.untrained,
                build=lambda spec, seed: self._model(spec, seed, self.rows.reading(spec)),
                student_shape=self.student_shape[0],
                teacher_shape=self.teacher.shape[0],
                student_identity=self._student_start,
            ),
            artifacts=self.artifacts,
            identity=self._stage_identity(needs),
            recipe=config.student.recipe,
            teacher_recipe=config.teacher.recipe,
            teacher_seed=config.teacher.seed,
            seed=seed,
            device=config.device,
            reporter=self.reporter,
        )

    def _encoded(self, method: str) -> dict[str, Encoded]:
        """The rows as each model of the method reads them."""
        rows, further = self.rows, self.method(method).further_models()
        read = self.needs(method) and self.teacher.has_model
        taught = {TEACHER: rows.teacher.encoded} if read else {}
        own = {reader_of(spec): rows.reading(spec).encoded for spec in further}
        return {STUDENT: rows.student.encoded, **taught, **own}

    def unsupported(self, method: str) -> str | None:
        """Why the method cannot run here, or None if it can."""
        distiller, recipe, teacher = self.method(method), self.config.student.recipe, None
        if self.needs(method):
            if reason := self.teacher.refuses(distiller):
                return reason
            teacher = self.teacher.shape[0] if self.teacher.has_model else None
        conditions = Conditions(
            self.task,
            self.student_shape[0],
            teacher,
            batch_size=recipe.batch_size,
            accumulation=recipe.accumulation,
            epochs=recipe.epochs,
            teacher_epochs=self.config.teacher.recipe.epochs,
        )
        return distiller.unsupported(conditions)

    def _model(self, spec: ModelSpec, seed: int, reading: Reading) -> Encoder:
        fine_tuned = self.teacher.encoder() if spec.source == TEACHER else None
        return self.teacher.build(spec, seed, reading, fine_tuned)

    @cached_property
    def student_shape(self) -> tuple[Shape, int]:
        """Shape of the student and the number of tokens it can read; nothing is trained."""
        return self._shape(self.config.student.model, self.rows.student)

    def _shape(self, spec: ModelSpec, reading: Reading) -> tuple[Shape, int]:
        like = self.teacher.outline() if spec.source == TEACHER else None
        return shape_of(self.teacher.build(spec, 0, reading, like))

    def check_models(self, *, taught: bool) -> dict[str, int]:
        """Build the models, untrained, so that what does not fit shows before anything trains.

        Returns:
            Width of the embedding of ``student`` and, where it is ``taught``, ``teacher``.

        Raises:
            ModelError: a model that cannot be loaded, has a head for other labels, a smaller
                vocabulary than the tokenizer, fewer positions than ``data.max_length``, or not
                the layers that are asked for.
        """
        shapes = {"student": self.student_shape}
        if taught or self.config.student.model.source == TEACHER:
            self.teacher.check_labels()
            shapes["teacher"] = self.teacher.shape
        read, wanted = {name: longest for name, (_, longest) in shapes.items()}, self.config.data
        for method in self.config.methods:
            for spec in self.method(method).further_models():
                name = f"model '{spec.describe()}' of {method}"
                try:
                    _, read[name] = self._shape(spec, self.rows.reading(spec))
                except ModelError as error:
                    raise ModelError(f"{name}: {error}") from error
        for name, longest in read.items():
            if longest < wanted.max_length:
                raise ModelError(
                    f"the {name} reads {longest} tokens, data.max_length is {wanted.max_length}"
                )
        return {name: shape.width for name, (shape, _) in shapes.items()}

    def student(self, method: str, seed: int) -> Artifact:
        """A trained student with its outputs on held-out and test splits."""

        def build(folder: Path) -> dict[str, Any]:
            context, load = self.context(method, seed), os.getloadavg()
            encoder = context.models.student(seed)
            checkpoint = Checkpoint(folder / SCRATCH, reporter=self.reporter)
            stage, distiller = f"{self.task.title} {method} seed {seed}", self.method(method)
            result = distil(distiller, context, encoder, checkpoint=checkpoint, stage=stage)
            cached = self.teacher.forwards if self.needs(method) & CACHED else 0
            scores = {}
            for split in self.rows.queried:
                outputs = self._encode(encoder, split, folder, f"{method}: {split}")
                scores[split] = self.rows.scores(split, outputs.logits)
            encoder.save_pretrained(folder / ENCODER)
            self.rows.student.tokenizer.save_pretrained(folder / ENCODER)
            costs = cost_of(result, context.stages, cached)
            return {"scores": scores, "cost": costs} | facts(encoder, result, self.stamp(load))

        return self.artifacts.get("student", self.student_identity(method, seed), build)

    def _encode(self, encoder: Encoder, split: str, folder: Path, stage: str) -> Outputs:
        precision, encoded = self.config.student.recipe.precision, self.rows.student.encoded
        shown: dict[str, Any] = {"stage": stage, "reporter": self.reporter}
        into = folder / split
        return inference.run(
            encoder,
            encoded.splits[split],
            encoded.pad_id,
            precision=precision,
            into=into,
            **shown,
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
        files = (folder / f"{split}.{name}.npy" for name in Outputs._fields)
        return Outputs(*(np.load(file, mmap_mode="r") for file in files))


def cost_of(
    result: TrainingSummary, stages: Sequence[Mapping[str, Any]], cached: int
) -> dict[str, Any]:
    """What a student cost in examples and seconds, see :class:`bench.records.run.Cost`.

    ``stages`` ran before its own training, ``cached`` rows of ``fit`` have signals from the cache.
    """
    student = result.work["student"]
    others = [work for name, work in result.work.items() if name != "student"] + [*stages]
    peaks = [result.peak_bytes, *(stage.get("peak_bytes") for stage in stages)]
    counts = ("seconds", 0.0), ("forwards", 0), ("backwards", 0)
    return {
        "steps_per_second": result.steps / result.seconds,
        "student_forwards": student["forwards"],
        "student_backwards": student["backwards"],
        "teacher_forwards": cached + sum(work.get("forwards", 0) for work in others),
        "teacher_backwards": sum(work.get("backwards", 0) for work in others),
        "cached_forwards": cached,
        "peak_bytes": max((int(peak) for peak in peaks if peak is not None), default=None),
        "stages": [
            {"stage": stage["stage"], **{name: stage.get(name, zero) for name, zero in counts}}
            for stage in stages
        ],
    }
