"""From a task's rows to a student's outputs and a searched knowledge base, each step made once.

One pipeline serves all cells of one task in one process. Every expensive step is an artefact, so
another process, another run or the same run after a kill finds it instead of repeating it.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from baselines import METHODS
from bench.config import RunConfig
from bench.pipeline.cost import cost_of
from bench.pipeline.data import TaskRows
from bench.pipeline.proving import RUNS, Proofs, models_of, named, require_room
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
from reaugkd.training.loop import distil


class TaskPipeline:
    """The steps for the one task that ``config`` is resolved for; ``artifacts`` keeps them.

    ``rows`` are the task's, which pipelines with other recipes may share.
    ``proofs`` are shared by the pipelines of a process: a model is proved once.
    """

    def __init__(
        self,
        config: RunConfig,
        rows: TaskRows,
        artifacts: ArtifactStore,
        reporter: Reporter,
        stamp: Stamp,
        proofs: Proofs,
    ) -> None:
        self.config, self.artifacts, self.reporter = config, artifacts, reporter
        self.rows, self.stamp = rows, stamp
        self.teacher = teacher_of(config, self.rows, artifacts, reporter, stamp)
        self.task: Task = self.rows.task
        self._proofs = proofs
        self._shapes: dict[str, tuple[Shape, int]] = {}

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

    def student_init(self, method: str) -> str:
        """What the students of a method start from, in words."""
        return self.config.student_of(method).describe(self.config.teacher.model)

    def reading(self, method: str) -> Reading:
        """The rows as the students of a method read them."""
        spec = self.config.student_of(method)
        return self.rows.student if spec == self.config.student.model else self.rows.reading(spec)

    def student_identity(self, method: str, seed: int) -> dict[str, Any]:
        """Plain JSON that decides a student: what it does not depend on is left out."""
        student = self.config.student
        identity = {
            **self.reading(method).identity,
            "method": self.config.base(method),
            "settings": self.settings(method),
            "recipe": student.recipe.identity(),
            "seed": seed,
            **self._student_start(method),
        }
        if further := self.method(method).further_models():
            specs = (spec.explicit(self.config.teacher.model) for spec in further)
            identity["models"] = [spec.identity() for spec in specs]
        if needs := self.needs(method):
            identity["teacher"] = self._taught_by(needs)
            if self.teacher.has_model:
                identity.pop("pretrained", None)  # the teacher's identity says it
        return identity

    def needs(self, name: str) -> frozenset[Signal]:
        """What the method uses of the teacher under its settings."""
        return self.method(name).uses()

    def _student_start(self, method: str) -> dict[str, Any]:
        """Plain JSON that decides a fresh student of a method but for its seed."""
        spec, reading = self.config.student_of(method), self.reading(method)
        start: dict[str, Any] = {"student": spec.identity(), "pooling": self.config.pooling}
        start |= on(self.teacher.device)
        if reading not in self.rows.of_teacher:
            start["tokenizer"] = reading.identity["tokenizer"]  # decides random weights
        if spec.source == TEACHER:
            start["teacher"] = self.teacher.identity
        elif spec.source == PRETRAINED:
            start["pretrained"] = self.config.teacher.model.identity()
        return start

    def _taught_by(self, needs: frozenset[Signal]) -> dict[str, Any]:
        return self.teacher.signals_identity if needs & CACHED else self.teacher.identity

    def _stage_identity(self, method: str) -> dict[str, Any]:
        """Plain JSON that decides what the stages of a method are made of."""
        needs = self.needs(method)
        if not needs:
            return {**self.reading(method).identity, **self._student_start(method)}
        if self.teacher.has_model:
            return self._taught_by(needs)
        # What a black box said depends on no tokens, unlike the models of a stage.
        return {**self._taught_by(needs), "max_length": self.config.data.max_length}

    def context(self, method: str, seed: int) -> Context:
        """What the method may use while it prepares."""
        config, needs = self.config, self.needs(method)
        spec, reading = config.student_of(method), self.reading(method)
        return Context(
            task=self.task,
            encoded=self._encoded(method),
            signals=self.teacher.signals["fit"] if needs & CACHED else None,
            models=Models(
                student=lambda seed: self._model(spec, seed, reading),
                teacher=self.teacher.encoder,
                untrained=self.teacher.untrained,
                build=lambda spec, seed: self._model(spec, seed, self.rows.reading(spec)),
                student_shape=self.student_shape(method),
                teacher_shape=self.teacher.shape[0],
                student_identity=self._student_start(method),
            ),
            artifacts=self.artifacts,
            identity=self._stage_identity(method),
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
        return {STUDENT: self.reading(method).encoded, **taught, **own}

    def unsupported(self, method: str) -> str | None:
        """Why the method cannot run here, or None if it can."""
        distiller, recipe, teacher = self.method(method), self.config.student.recipe, None
        if self.needs(method):
            if reason := self.teacher.refuses(distiller):
                return reason
            teacher = self.teacher.shape[0] if self.teacher.has_model else None
        conditions = Conditions(
            self.task,
            self.student_shape(method),
            teacher,
            batch_size=recipe.batch_size,
            accumulation=recipe.accumulation,
            epochs=recipe.epochs,
            teacher_epochs=self.config.teacher.recipe.epochs,
            rows=len(self.rows.data.fit),
        )
        return distiller.unsupported(conditions)

    def _model(self, spec: ModelSpec, seed: int, reading: Reading) -> Encoder:
        fine_tuned = self.teacher.encoder() if spec.source == TEACHER else None
        return self.teacher.build(spec, seed, reading, fine_tuned)

    def student_shape(self, method: str) -> Shape:
        """Shape of the students of a method; nothing is trained."""
        return self._shape(self.config.student_of(method), self.reading(method))[0]

    def _shape(self, spec: ModelSpec, reading: Reading) -> tuple[Shape, int]:
        """Shape of a model and the number of tokens it can read; it is built once for that."""
        key = spec.model_dump_json()
        if key not in self._shapes:
            self._shapes[key] = shape_of(self.untrained(spec, reading))
        return self._shapes[key]

    def untrained(self, spec: ModelSpec, reading: Reading) -> Encoder:
        """A model of the run before anything is trained, for the token ids of ``reading``."""
        like = self.teacher.outline() if spec.source == TEACHER else None
        return self.teacher.build(spec, 0, reading, like)

    def check_models(self, *, taught: bool) -> dict[str, int]:
        """Build the models, untrained, so that what does not fit shows before anything trains.

        Returns:
            Width of the embedding of ``student`` and, where it is ``taught``, ``teacher``.

        Raises:
            ModelError: a model that cannot be loaded or does not do what a run will ask of it (see
                :func:`reaugkd.models.probe.prove`), has a head for other labels, a smaller
                vocabulary than the tokenizer, fewer positions than ``data.max_length``, or not
                the layers that are asked for.
        """
        widths, wanted = {}, self.config.data.max_length
        for model in models_of(self, taught=taught):
            spec, reading = model.spec, model.reading
            with named(model.name):
                shape, longest = self._shape(spec, reading)
            require_room(model.name, longest, wanted)
            self._proofs.require(model, self, partial(self.untrained, spec, reading))
            widths[model.name] = shape.width
        if taught and "teacher" not in widths:
            shape, longest = self.teacher.shape
            require_room("teacher", longest, wanted)
            widths["teacher"] = shape.width
        for method in filter(self.queries, self.config.methods):
            width = self.student_shape(method).width
            if width != widths["student"]:
                raise ModelError(
                    f"the student of {method} is {width} wide, that of the run "
                    f"{widths['student']}: where both query a knowledge base they must agree"
                )
        return {name: widths[name] for name in RUNS if name in widths}

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
                outputs = self._encode(encoder, method, split, folder)
                scores[split] = self.rows.scores(split, outputs.logits)
            encoder.save_pretrained(folder / ENCODER)
            self.reading(method).tokenizer.save_pretrained(folder / ENCODER)
            costs = cost_of(result, context.stages, cached)
            return {"scores": scores, "cost": costs} | facts(encoder, result, self.stamp(load))

        return self.artifacts.get("student", self.student_identity(method, seed), build)

    def _encode(self, encoder: Encoder, method: str, split: str, folder: Path) -> Outputs:
        recipe, encoded = self.config.student.recipe, self.reading(method).encoded
        shown: dict[str, Any] = {"stage": f"{method}: {split}", "reporter": self.reporter}
        into = folder / split
        return inference.run(
            encoder,
            encoded.splits[split],
            encoded.pad_id,
            precision=recipe.decided_precision,
            into=into,
            **shown,
        )

    def outputs(self, method: str, seed: int, split: str) -> Outputs:
        """A trained student's outputs on ``split``, memory-mapped; ``fit`` only if asked for."""
        student = self.student(method, seed)

        def build(folder: Path) -> None:
            encoder = Encoder.from_pretrained(student.path / ENCODER).to(self.teacher.device)
            self._encode(encoder, method, split, folder)

        folder = student.path
        if split == "fit":
            folder = self.artifacts.get("student-fit", dict(student.identity), build).path
        files = (folder / f"{split}.{name}.npy" for name in Outputs._fields)
        return Outputs(*(np.load(file, mmap_mode="r") for file in files))
