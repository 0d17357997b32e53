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
from reaugkd.training.loop import TrainingOptions, TrainingSummary, train


def train_and_record(
    encoder: Encoder,
    distiller: Distiller,
    setup: Setup,
    folder: Path,
    options: TrainingOptions,
    *,
    title: str,
) -> tuple[TrainingSummary, dict[str, Any]]:
    """Train ``encoder`` in place and write its signals of ``fit`` below ``folder``.

    A killed training goes on where it was. Returns its result, and the cost of all of it.
    """
    checkpoint = Checkpoint.of_stage(folder, setup.reporter)
    result = train(encoder, distiller, setup, options, checkpoint=checkpoint, stage=title)
    facts = write_signals(
        encoder,
        setup.encoded[STUDENT],
        folder,
        setup.recipe.decided_precision,
        setup.reporter,
        splits=["fit"],
        stage=title,
    )
    return result, result.cost(forwards=facts["rows"]["fit"])
