"""From a task's rows to a student's outputs and a searched knowledge base, each step made once.

One pipeline serves all cells of one task in one process. Every expensive step is an artefact, so
another process, another run or the same run after a kill finds it instead of repeating it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from baselines import METHODS
from bench.config import RunConfig
from reaugkd import inference, model_spec, signals, tasks
from reaugkd import teacher as teachers
from reaugkd.artifacts import Artifact, ArtifactStore
from reaugkd.checkpoint import Checkpoint
from reaugkd.distiller import Context, Distiller
from reaugkd.errors import ModelError
from reaugkd.inference import Outputs
from reaugkd.model_spec import CONFIG, PRETRAINED, TEACHER, ModelSpec
from reaugkd.models import Encoder
from reaugkd.reporter import Reporter
from reaugkd.signals import TeacherSignals
from reaugkd.tasks import metrics
from reaugkd.tasks.encode import encode, tokenizer_fingerprint
from reaugkd.tasks.task import Task, TaskData
from reaugkd.training import TrainingResult

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

ENCODER, CHECKPOINT = "encoder", "checkpoint"


class TaskPipeline:
    """The steps for one task.

    Args:
        config: resolved for this task (:func:`bench.settings.for_task`).
        artifacts: where steps are kept.
        reporter: told of progress.
    """

    def __init__(self, config: RunConfig, artifacts: ArtifactStore, reporter: Reporter) -> None:
        self.config, self.artifacts, self.reporter = config, artifacts, reporter
        self.task: Task = tasks.get_task(config.tasks[0])

    @cached_property
    def data(self) -> TaskData:
        """The rows, divided."""
        data = self.config.data
        return tasks.load(
            self.task,
            data_dir=data.dir,
            hub=data.hub,
            revision=data.revision,
            limit=data.limit,
            split_seed=data.split_seed,
        )

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer of teacher and student.

        Raises:
            ModelError: if the student's checkpoint comes with another one.
        """
        teacher, student = self.config.teacher, self.config.student.model
        if teacher.tokenizer == "mini":
            from reaugkd.tasks import mini

            return mini.tokenizer()
        source = ModelSpec(source=teacher.tokenizer) if teacher.tokenizer else teacher.model
        if source.source == CONFIG:
            raise ModelError("a teacher from a config needs teacher.tokenizer, a path or hub name")
        tokenizer = model_spec.load_tokenizer(source)
        if student.source not in (TEACHER, PRETRAINED, CONFIG):
            other = model_spec.load_tokenizer(student)
            if tokenizer_fingerprint(other) != tokenizer_fingerprint(tokenizer):
                raise ModelError(
                    f"teacher '{source.source}' and student '{student.source}' have different "
                    "tokenizers: the student could not read what the teacher reads"
                )
        return tokenizer

    @property
    def pad_id(self) -> int:
        """Id of the padding token."""
        return int(self.tokenizer.pad_token_id or 0)

    @cached_property
    def splits(self) -> dict[str, Dataset]:
        """All splits as token ids, from disk."""
        from datasets import load_from_disk

        def build(folder: Path) -> None:
            encoded = encode(self.data, self.tokenizer, self.config.data.max_length)
            for name, split in encoded.items():
                split.save_to_disk(folder / name)

        artifact = self.artifacts.get("tokens", self.rows_identity, build)
        return {name: load_from_disk(artifact.path / name) for name in self.data.splits()}

    @cached_property
    def rows_identity(self) -> dict[str, Any]:
        """Plain JSON that decides the token ids."""
        return {
            "task": self.task.name,
            "data": self.data.fingerprint,
            "tokenizer": tokenizer_fingerprint(self.tokenizer),
            "max_length": self.config.data.max_length,
        }

    def labels(self, split: str) -> NDArray[Any]:
        """Labels of ``split``, [N]."""
        return np.asarray(self.splits[split]["label"])

    def scores(self, split: str, logits: NDArray[Any]) -> dict[str, float]:
        """All metrics of the task for ``logits`` of ``split``."""
        return teachers.scores(self.task, logits, self.labels(split))

    @cached_property
    def majority(self) -> dict[str, dict[str, float]]:
        """Scores of the constant predictor on held-out and test splits."""
        fit = self.labels("fit")
        return {
            split: metrics.majority(self.task, fit, self.labels(split))
            for split in self.splits
            if split != "fit"
        }

    # --- teacher ------------------------------------------------------------------------------

    @cached_property
    def teacher_identity(self) -> dict[str, Any]:
        """Plain JSON that decides the fine-tuned teacher."""
        teacher = self.config.teacher
        return {
            **self.rows_identity,
            "model": teacher.model.identity(),
            "recipe": teacher.recipe.model_dump(mode="json"),
            "pooling": self.config.pooling,
            "seed": teacher.seed,
        }

    @cached_property
    def teacher(self) -> Artifact:
        """The fine-tuned teacher, checked against the floor.

        Raises:
            TeacherFloorError: if it is hardly better than the majority class.
            ModelError: if its checkpoint has a head for another number of labels.
        """
        artifact = self.artifacts.get("teacher", self.teacher_identity, self._fine_tune)
        scores = artifact.facts["scores"]
        for split, values in scores.items():
            shown = ", ".join(f"{name} {value:.4f}" for name, value in values.items())
            self.reporter.note(f"{self.task.title} teacher, {split}: {shown}")
        teachers.check_floor(
            self.task,
            scores["held_out"][self.task.select_on],
            self.majority["held_out"][self.task.select_on],
            self.config.teacher.floor_margin,
        )
        return artifact

    def check_teacher_labels(self) -> None:
        """Raise ModelError if the teacher's checkpoint classifies into other classes."""
        found = model_spec.labels_of(self.config.teacher.model)
        if found is not None and found != self.task.outputs:
            raise ModelError(
                f"teacher '{self.config.teacher.model.source}' has a head of {found} labels, "
                f"{self.task.title} needs {self.task.outputs}"
            )

    def _fine_tune(self, folder: Path) -> dict[str, Any]:
        config = self.config.teacher
        encoder = model_spec.build_student(
            config.model,
            config.model,
            None,
            vocabulary=len(self.tokenizer),
            outputs=self.task.outputs,
            pooling=self.config.pooling,
            seed=config.seed,
        )
        checkpoint = Checkpoint(folder / CHECKPOINT)
        result = teachers.fine_tune(
            self.task,
            encoder,
            self.splits,
            self.pad_id,
            config.recipe,
            seed=config.seed,
            checkpoint=checkpoint,
            device=self.config.device,
            stage=f"{self.task.title} teacher",
            reporter=self.reporter,
        )
        precision = config.recipe.precision
        scores = {
            split: self.scores(
                split, inference.run(encoder, rows, self.pad_id, precision=precision).logits
            )
            for split, rows in self.splits.items()
            if split != "fit"
        }
        encoder.save_pretrained(folder / ENCODER)
        checkpoint.clear()
        return {"scores": scores, "init": config.model.describe(), **facts(encoder, result)}

    @cached_property
    def signals_identity(self) -> dict[str, Any]:
        """Plain JSON that decides the teacher's signals."""
        return {**self.teacher_identity, "precision": self.config.teacher.recipe.precision}

    @cached_property
    def signals(self) -> dict[str, TeacherSignals]:
        """The teacher's logits and embeddings of every row of every split: one pass, ever."""
        teacher = self.teacher  # outside of build: a teacher below the floor teaches nothing

        def build(folder: Path) -> dict[str, Any]:
            encoder = Encoder.from_pretrained(teacher.path / ENCODER)
            precision = self.config.teacher.recipe.precision
            return signals.write(
                encoder, self.splits, self.pad_id, folder, precision, self.reporter
            )

        artifact = self.artifacts.get("signals", self.signals_identity, build)
        return {split: TeacherSignals.open(artifact.path, split) for split in self.splits}

    # --- student ------------------------------------------------------------------------------

    def settings(self, method: str) -> dict[str, Any]:
        """The method's settings, defaults included, as plain JSON."""
        model = METHODS[method].Settings
        return model.model_validate(self.config.settings.get(method, {})).model_dump(mode="json")

    def student_identity(self, method: str, seed: int) -> dict[str, Any]:
        """Plain JSON that decides a student: what it does not depend on is left out."""
        student = self.config.student
        identity = {
            **self.rows_identity,
            "method": method,
            "settings": self.settings(method),
            "student": student.model.identity(),
            "recipe": student.recipe.model_dump(mode="json"),
            "pooling": self.config.pooling,
            "seed": seed,
        }
        if METHODS[method].needs:
            identity["teacher"] = self.signals_identity
        elif student.model.source == TEACHER:
            identity["teacher"] = self.teacher_identity
        elif student.model.source == PRETRAINED:
            identity["pretrained"] = self.config.teacher.model.identity()
        return identity

    def distiller(self, method: str, seed: int) -> tuple[Distiller, float]:
        """The method, prepared, and the seconds that its own stages took."""
        kind = METHODS[method]
        distiller = kind(kind.Settings.model_validate(self.config.settings.get(method, {})))
        fit = self.signals["fit"] if kind.needs else None
        began = time.perf_counter()
        distiller.prepare(
            Context(
                task=self.task,
                labels=self.labels("fit"),
                signals=fit,
                student_width=self.student_width(seed),
                artifacts=self.artifacts,
                identity=self.signals_identity if kind.needs else self.rows_identity,
                seed=seed,
                reporter=self.reporter,
            )
        )
        return distiller, time.perf_counter() - began

    def _fresh_student(self, seed: int) -> Encoder:
        spec = self.config.student.model
        fine_tuned = None
        if spec.source == TEACHER:
            fine_tuned = Encoder.from_pretrained(self.teacher.path / ENCODER)
        return model_spec.build_student(
            spec,
            self.config.teacher.model,
            fine_tuned,
            vocabulary=len(self.tokenizer),
            outputs=self.task.outputs,
            pooling=self.config.pooling,
            seed=seed,
        )

    def student_width(self, seed: int) -> int:
        """H_s, the width of the student's embedding."""
        if not hasattr(self, "_width"):
            self._width = self._fresh_student(seed).width
        return self._width

    def student(self, method: str, seed: int) -> Artifact:
        """A trained student with its outputs on held-out and test splits."""

        def build(folder: Path) -> dict[str, Any]:
            return self._train_student(folder, method, seed)

        return self.artifacts.get("student", self.student_identity(method, seed), build)

    def _train_student(self, folder: Path, method: str, seed: int) -> dict[str, Any]:
        distiller, prepare_seconds = self.distiller(method, seed)
        fit = self.signals["fit"] if distiller.needs else None
        recipe, checkpoint = self.config.student.recipe, Checkpoint(folder / CHECKPOINT)
        encoder = self._fresh_student(seed)
        result = teachers.fine_tune(
            self.task,
            encoder,
            self.splits,
            self.pad_id,
            recipe,
            loss=lambda output, batch: distiller.loss(
                output, fit.batch(batch.rows) if fit else None, batch
            ),
            seed=seed,
            checkpoint=checkpoint,
            device=self.config.device,
            stage=f"{self.task.title} {method} seed {seed}",
            reporter=self.reporter,
        )
        scores = {}
        for split in self.splits:
            if split != "fit":
                outputs = self._encode(encoder, split, folder, f"{method}: {split}")
                scores[split] = self.scores(split, outputs.logits)
        encoder.save_pretrained(folder / ENCODER)
        self.tokenizer.save_pretrained(folder / ENCODER)
        checkpoint.clear()
        return {
            "scores": scores,
            "init": self.config.student.model.describe(),
            "prepare_seconds": prepare_seconds,
            **facts(encoder, result),
        }

    def _encode(self, encoder: Encoder, split: str, folder: Path, stage: str) -> Outputs:
        return inference.run(
            encoder,
            self.splits[split],
            self.pad_id,
            precision=self.config.student.recipe.precision,
            into=folder / split,
            stage=stage,
            reporter=self.reporter,
        )

    def outputs(self, method: str, seed: int, split: str) -> Outputs:
        """A trained student's outputs on ``split``, memory-mapped; ``fit`` only if asked for."""
        student = self.student(method, seed)

        def build(folder: Path) -> None:
            encoder = Encoder.from_pretrained(student.path / ENCODER)
            self._encode(encoder, split, folder, f"{method}: {split}")

        folder = student.path
        if split == "fit":
            folder = self.artifacts.get("student-fit", dict(student.identity), build).path
        tables = (
            np.load(folder / f"{split}.{name}.npy", mmap_mode="r") for name in Outputs._fields
        )
        return Outputs(*tables)


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
