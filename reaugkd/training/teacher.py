"""The teacher: fine-tuned with early stop on held-out rows, and checked before it teaches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from reaugkd.distiller import Batch, LossTerms
from reaugkd.errors import UserError
from reaugkd.losses import hard_label
from reaugkd.models.encoder import Encoder, EncoderOutput
from reaugkd.reporter import Reporter
from reaugkd.tasks import metrics
from reaugkd.tasks.task import Task
from reaugkd.training import inference
from reaugkd.training.checkpoint import Checkpoint
from reaugkd.training.inference import Precision
from reaugkd.training.loop import Evaluate, Loss, Procedure, TrainingResult, train
from reaugkd.training.recipe import Recipe


class TeacherFloorError(UserError):
    """The teacher knows hardly more than the majority class: nothing can be distilled from it."""


def true_labels(output: EncoderOutput, batch: Batch) -> LossTerms:
    """The loss a teacher is fine-tuned with."""
    return LossTerms({"hard": hard_label(output.logits, batch.labels)}, {"hard": 1.0})


def scorer(task: Task, dataset: Any, pad_id: int, precision: Precision) -> Evaluate:
    """A function that scores a model on ``dataset`` by the metrics of ``task``."""
    labels = np.asarray(dataset["label"])

    def evaluate(model: Encoder) -> Mapping[str, float]:
        outputs = inference.run(model, dataset, pad_id, precision=precision)
        return scores(task, outputs.logits, labels)

    return evaluate


def scores(task: Task, logits: NDArray[Any], labels: NDArray[Any]) -> dict[str, float]:
    """All metrics of ``task`` for logits [N, C]."""
    return metrics.score(task.metrics, metrics.predictions(task, logits), labels)


def fine_tune(
    task: Task,
    encoder: Encoder,
    splits: Mapping[str, Any],
    pad_id: int,
    recipe: Recipe,
    *,
    loss: Loss | Procedure = true_labels,
    seed: int,
    checkpoint: Checkpoint,
    device: Literal["auto", "cpu"],
    stage: str,
    reporter: Reporter,
) -> TrainingResult:
    """Train ``encoder`` on ``fit``, choosing the epoch on ``held_out``; see :func:`train`."""
    return train(
        encoder,
        loss,
        splits["fit"],
        pad_id,
        recipe,
        evaluate=scorer(task, splits["held_out"], pad_id, recipe.precision),
        select_on=task.select_on,
        seed=seed,
        checkpoint=checkpoint,
        device=device,
        stage=stage,
        reporter=reporter,
    )


def check_floor(task: Task, score: float, majority: float, margin: float) -> None:
    """Refuse a teacher that is not clearly better than the constant predictor.

    Args:
        task: names the metric in the message.
        score: the teacher's held-out value of the selection metric.
        majority: the constant predictor's value of it, on the same rows.
        margin: how much better the teacher must be.

    Raises:
        TeacherFloorError: if ``score < majority + margin``.
    """
    if score < majority + margin:
        raise TeacherFloorError(
            f"{task.title}: the teacher reaches {task.select_on} {score:.4f} on held-out rows; the "
            f"floor is {majority + margin:.4f} (majority class {majority:.4f} + margin {margin}). "
            "Train it longer, or lower teacher.floor_margin"
        )
