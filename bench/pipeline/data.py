"""The rows of one task as a run uses them: divided, tokenised, labelled, scored."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.config import RunConfig
from reaugkd import batch as readers
from reaugkd import tasks
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import ModelError
from reaugkd.models import spec as model_spec
from reaugkd.models.spec import CONFIG, PRETRAINED, TEACHER, ModelSpec
from reaugkd.tasks import metrics, mini
from reaugkd.tasks.encode import Encoded, encode, tokenizer_fingerprint
from reaugkd.tasks.task import Task, TaskData

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

MINI = "mini"
"""The embedded suite, and the name of its tokenizer."""


class TaskRows:
    """The rows of the one task that ``config`` is resolved for; ``artifacts`` keeps token ids."""

    def __init__(self, config: RunConfig, artifacts: ArtifactStore) -> None:
        self.config, self.artifacts = config, artifacts
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
            ModelError: if the student's checkpoint comes with another one, or that of the embedded
                suite is to read something else.
        """
        teacher, student = self.config.teacher, self.config.student.model
        source = ModelSpec(source=teacher.tokenizer) if teacher.tokenizer else teacher.model
        suite = teacher.tokenizer == MINI
        if suite and self.task.suite != MINI:
            raise ModelError(
                f"the embedded suite's tokenizer cannot read {self.task.title}: take a preset "
                "with a pretrained teacher (--preset glue-minilm) or give one (--teacher)"
            )
        if source.source == CONFIG:
            raise ModelError("a teacher from a config needs teacher.tokenizer, a path or hub name")
        tokenizer = mini.tokenizer() if suite else model_spec.load_tokenizer(source)
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

        artifact = self.artifacts.get("tokens", self.identity, build)
        return {name: load_from_disk(artifact.path / name) for name in self.data.splits()}

    @cached_property
    def encoded(self) -> dict[str, Encoded]:
        """The rows as student and teacher read them: one object, for they share a tokenizer."""
        shared = Encoded(self.splits, self.pad_id)
        return {readers.STUDENT: shared, readers.TEACHER: shared}

    @cached_property
    def identity(self) -> dict[str, Any]:
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
        return metrics.of_logits(self.task, logits, self.labels(split))

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
