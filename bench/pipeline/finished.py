"""A finished teacher: a classifier that was trained elsewhere and teaches as it is."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from bench.pipeline.teacher import TaskTeacher, facts, on
from reaugkd.errors import ModelError
from reaugkd.models import spec as model_spec
from reaugkd.models.encoder import Encoder
from reaugkd.models.finished import FinishedEncoder, load_classifier
from reaugkd.tasks.labels import LabelOrder, match

PROBED = 2
"""Rows of fit that the plan lets a finished teacher answer."""


class FinishedTeacher(TaskTeacher):
    """The checkpoint of ``teacher.model`` with its own head; nothing of it is trained."""

    @property
    def trains(self) -> bool:
        """It is not."""
        return False

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Plain JSON that decides what the teacher says."""
        teacher = self.config.teacher
        return {
            **self.rows.teacher.identity,
            "model": teacher.model.identity(),
            "finetune": False,
            "precision": teacher.recipe.decided_precision,
            **on(self.device),
        }

    @property
    def init(self) -> str:
        """What the teacher is, in words."""
        return f"{self.config.teacher.model.describe()}, as it is"

    @property
    def notes(self) -> tuple[str, ...]:
        """How its labels were matched, if they are not simply the task's."""
        return (self.labels.note,) if self.labels.note else ()

    @cached_property
    def labels(self) -> LabelOrder:
        """The order that puts its logits into that of the task's classes.

        Raises:
            ModelError: another number of labels, or of outputs for a regression.
            LabelError: other labels.
        """
        spec = self.config.teacher.model
        config = model_spec.load_config(spec.location(), spec.revision)
        count = int(config.num_labels)
        if self.task.regression:
            if count != 1:
                raise ModelError(f"{self._name} has {count} labels, {self.task.title} is a score")
            return LabelOrder((0,))
        names = [str(config.id2label.get(number, number)) for number in range(count)]
        return match(names, self.task.labels, self._name)

    @property
    def _name(self) -> str:
        return f"teacher '{self.config.teacher.model.source}'"

    def check_labels(self) -> None:
        """Load it and let it answer a few rows, so that the plan shows what is wrong."""
        encoder, rows = self.encoder(), self.rows.data.fit[:PROBED]
        texts = [rows[name] for name in ("text_a", "text_b") if name in rows]
        length = {"truncation": "longest_first", "max_length": self.config.data.max_length}
        tokenizer = self.rows.teacher.tokenizer
        tokens = tokenizer(*texts, padding=True, return_tensors="pt", **length)
        with torch.inference_mode():
            output = encoder(**tokens)
        if not torch.isfinite(output.logits).all():
            raise ModelError(f"{self._name}: its logits of the first rows are not finite")
        self._say_notes()

    def untrained(self) -> Encoder:
        """Raise ModelError: there is none."""
        raise ModelError(f"{self._name} is finished: there is none before its fine-tuning")

    def outline(self) -> Encoder:
        """The classifier itself."""
        return self.encoder()

    def encoder(self) -> Encoder:
        """The classifier."""
        model = load_classifier(self.config.teacher.model, self.rows.teacher.vocabulary)
        return FinishedEncoder(model, self.labels.places)

    def _make(self, folder: Path) -> dict[str, Any]:
        load, encoder = os.getloadavg(), self.encoder().to(self.device)
        scores = self._scores(encoder)
        return {"scores": scores} | facts(encoder, None, self.stamp(load))
