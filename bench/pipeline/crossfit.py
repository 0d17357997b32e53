"""Cross-fitted soft labels: what teachers say of rows that they have not learned from.

A teacher has seen the rows of fit, so its soft labels of them are surer than what it says of other
rows, and a knowledge base of them passes that on. Here fit is divided into folds; a teacher of the
same recipe learns from all folds but one and speaks about that one.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.pipeline.teacher import TaskTeacher, facts
from reaugkd.artifacts.store import Artifact
from reaugkd.tasks.division import folds
from reaugkd.training import inference
from reaugkd.training.loop import TrainingOptions

LOGITS = "logits.npy"


class CrossFit:
    """One teacher per fold, each an artefact of its own, and their logits of every row of fit.

    Args:
        teacher: whose recipe, seed and initial weights the teachers of the folds have too.
        count: number of folds.
    """

    def __init__(self, teacher: TaskTeacher, count: int) -> None:
        self.teacher, self.count = teacher, count

    @property
    def identity(self) -> dict[str, Any]:
        """Plain JSON that decides the logits."""
        return {**self.teacher.identity, "folds": self.count}

    @cached_property
    def fold(self) -> NDArray[np.int64]:
        """The fold [n] of each row of fit."""
        return folds(self.teacher.rows.labels("fit"), self.count, self.teacher.config.teacher.seed)

    @cached_property
    def logits(self) -> NDArray[np.float32]:
        """[n, C]: each row's logits by the teacher that has not seen it."""

        def build(folder: Path) -> None:
            parts = [self.part(number) for number in range(self.count)]
            logits = np.empty((len(self.fold), self.teacher.task.outputs), dtype=np.float32)
            for number, part in enumerate(parts):
                logits[self.fold == number] = np.load(part.path / LOGITS)
            np.save(folder / LOGITS, logits)

        artifact = self.teacher.artifacts.get("cross-fit", self.identity, build)
        logits: NDArray[np.float32] = np.load(artifact.path / LOGITS, mmap_mode="r")
        return logits

    def part(self, number: int) -> Artifact:
        """The logits of the rows of one fold, in their order; a killed training goes on."""

        def build(folder: Path) -> dict[str, Any]:
            teacher, load = self.teacher, os.getloadavg()
            rows, title = teacher.rows, f"{teacher.task.title} fold {number + 1}/{self.count}"
            encoded = rows.teacher.encoded
            encoder, others = teacher.untrained(), np.flatnonzero(self.fold != number)
            options = TrainingOptions(rows=others)
            result = teacher.fine_tune(encoder, folder, f"{title} teacher", options)
            outputs = inference.run(
                encoder,
                encoded.splits["fit"].select(np.flatnonzero(self.fold == number)),
                encoded.pad_id,
                precision=teacher.config.teacher.recipe.decided_precision,
                stage=f"{title}: its rows",
                reporter=teacher.reporter,
            )
            np.save(folder / LOGITS, outputs.logits)
            return facts(encoder, result, teacher.stamp(load))

        identity = {**self.identity, "fold": number}
        return self.teacher.artifacts.get("cross-fit-fold", identity, build)
