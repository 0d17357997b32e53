"""The rows of one task as a run uses them: divided, labelled, scored, and read by its models."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.config import RunConfig, StudentConfig, TeacherConfig
from bench.pipeline.reading import Reading
from bench.task import own_data, source_task, task_of
from reaugkd import tasks
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.context import reader_of
from reaugkd.errors import ModelError
from reaugkd.models import spec as model_spec
from reaugkd.models.spec import CONFIG, PRETRAINED, TEACHER, ModelSpec
from reaugkd.tasks import card, metrics, mini, own
from reaugkd.tasks.card import DataCard
from reaugkd.tasks.carving import carves
from reaugkd.tasks.task import Task, TaskData

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MINI = "mini"
"""The embedded suite, and the name of its tokenizer."""


class TaskRows:
    """The rows of the one task that ``config`` is resolved for; ``artifacts`` keeps token ids.

    Each model reads the ids of its own tokenizer; where two tokenizers make the same ids, their
    models share one :class:`~bench.pipeline.reading.Reading`.
    """

    def __init__(self, config: RunConfig, artifacts: ArtifactStore) -> None:
        self.config, self.artifacts = config, artifacts
        self.task: Task = task_of(config)
        self._further: dict[str, Reading] = {}

    @cached_property
    def data(self) -> TaskData:
        """The rows, divided."""
        data = self.config.data
        return tasks.load(
            source_task(self.config),
            data_dir=data.dir,
            hub=data.hub,
            revision=data.revision,
            own=own_data(data),
            test=data.test if carves(data.test) else None,
            limit=data.limit,
            split_seed=data.split_seed,
        )

    @cached_property
    def card(self) -> DataCard:
        """What to know of the rows; tokens are counted of a user's own, which nobody else knows."""
        of_user = self._of_user
        counts = card.token_counts(self.data, self.student.tokenizer) if of_user else None
        return card.card(self.data, counts, self.config.data.max_length)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What a reader of results should know of the rows."""
        if not (self._of_user or self.data.carved):
            return self.data.notes
        plain = card.card(self.data, None, self.config.data.max_length)
        return (*self.data.notes, *plain.warnings())

    @property
    def _of_user(self) -> bool:
        return self.task.suite == own.SUITE

    @cached_property
    def teacher(self) -> Reading:
        """The rows as the teacher reads them.

        Raises:
            ModelError: if there is no tokenizer for it, or the embedded suite's is to read
                something else.
        """
        teacher = self.config.teacher
        if teacher.model.source == CONFIG and teacher.tokenizer is None:
            raise ModelError("a teacher from a config needs teacher.tokenizer, a path or hub name")
        return self._reading(self._tokenizer(teacher))

    @cached_property
    def student(self) -> Reading:
        """The rows as the student reads them: by its own tokenizer if it has one.

        Raises:
            ModelError: as for the teacher, or if ``student.tokenizer`` is given for a student that
                is made of the teacher.
        """
        student, made = self.config.student, self.config.student.model.source
        if student.tokenizer is not None and made in (TEACHER, PRETRAINED):
            raise ModelError(
                f"student.tokenizer '{student.tokenizer}': a student '{made}' has the teacher's "
                "embeddings and reads with its tokenizer; leave the setting out"
            )
        if student.tokenizer is None and made in (TEACHER, PRETRAINED, CONFIG):
            return self.teacher
        return self._own(self._tokenizer(student))

    @property
    def of_teacher(self) -> tuple[Reading, ...]:
        """The teacher's reading, of a black box none: its checkpoint need not be there."""
        return (self.teacher,) if self.config.teacher.outputs is None else ()

    def reading(self, spec: ModelSpec) -> Reading:
        """The rows as a model reads them that is neither teacher nor student.

        A checkpoint comes with its tokenizer; what is made of the teacher, or of random weights,
        reads as the teacher does.
        """
        name = reader_of(spec)
        if name == TEACHER:
            return self.teacher
        if name not in self._further:
            self._further[name] = self._own(model_spec.load_tokenizer(spec))
        return self._further[name]

    def _tokenizer(self, config: TeacherConfig | StudentConfig) -> PreTrainedTokenizerBase:
        """The tokenizer that the settings name, or else the one beside the model."""
        if config.tokenizer is None:
            return model_spec.load_tokenizer(config.model)
        if config.tokenizer != MINI:
            return model_spec.load_tokenizer(ModelSpec(source=config.tokenizer))
        if self.task.suite != MINI:
            raise ModelError(
                f"the embedded suite's tokenizer cannot read {self.task.title}: take a preset "
                "with a pretrained teacher (--preset glue-minilm) or give one (--teacher)"
            )
        return mini.tokenizer()

    def _own(self, tokenizer: PreTrainedTokenizerBase) -> Reading:
        shared = (reading for reading in self.of_teacher if reading.serves(tokenizer))
        return next(shared, None) or self._reading(tokenizer)

    def _reading(self, tokenizer: PreTrainedTokenizerBase) -> Reading:
        return Reading(self.data, tokenizer, self.config.data.max_length, self.artifacts)

    def labels(self, split: str) -> NDArray[Any]:
        """Labels of ``split``, [N]."""
        return np.asarray(self.data.splits()[split]["label"][:])

    def scores(self, split: str, logits: NDArray[Any]) -> dict[str, float]:
        """All metrics of the task for ``logits`` of ``split``."""
        return metrics.of_logits(self.task, logits, self.labels(split))

    def scores_of(self, split: str, probabilities: NDArray[Any]) -> dict[str, float]:
        """The same for the ``probabilities`` [N, C] of classes, or for scores [N, 1]."""
        return metrics.of_probabilities(self.task, probabilities, self.labels(split))

    @cached_property
    def majority(self) -> dict[str, dict[str, float]]:
        """Scores of the constant predictor on held-out and test splits."""
        fit = self.labels("fit")
        return {
            split: metrics.majority(self.task, fit, self.labels(split)) for split in self.queried
        }

    @property
    def queried(self) -> list[str]:
        """The splits that are scored: held-out and the test splits."""
        return ["held_out", *self.task.tests]
