"""A model trained in a stage before the student, and what it says afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reaugkd.batch import STUDENT
from reaugkd.context import Setup
from reaugkd.distiller import Distiller
from reaugkd.models.encoder import Encoder
from reaugkd.training.checkpoint import Checkpoint
from reaugkd.training.inference import write_signals
from reaugkd.training.loop import TrainingOptions, TrainingResult, train


def train_and_record(
    encoder: Encoder,
    distiller: Distiller,
    setup: Setup,
    folder: Path,
    options: TrainingOptions,
    *,
    title: str,
) -> tuple[TrainingResult, dict[str, Any]]:
    """Train ``encoder`` and write its signals of ``fit`` below ``folder``.

    Args:
        encoder: trained in place by ``distiller``.
        distiller, setup, options: as of :func:`~reaugkd.training.loop.train`.
        folder: of the stage; a killed training goes on where it was.
        title: for the progress display.

    Returns:
        The result of the training, and the cost of all of it.
    """
    checkpoint = Checkpoint.of_stage(folder, setup.reporter)
    result = train(encoder, distiller, setup, options, checkpoint=checkpoint, stage=title)
    facts = write_signals(
        encoder,
        setup.encoded[STUDENT],
        folder,
        setup.recipe.precision,
        setup.reporter,
        splits=["fit"],
        stage=title,
    )
    return result, result.cost(forwards=facts["rows"]["fit"])
