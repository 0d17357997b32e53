"""A distillation method at work: from a prepared distiller to a trained student."""

from __future__ import annotations

from dataclasses import replace

from reaugkd.context import Context
from reaugkd.distiller import CACHED, Batch, Distiller, LossTerms, Signal
from reaugkd.models.encoder import Encoder
from reaugkd.training import teacher
from reaugkd.training.checkpoint import Checkpoint
from reaugkd.training.learner import Team
from reaugkd.training.loop import Procedure, TrainingResult


def procedure(distiller: Distiller, context: Context) -> Procedure:
    """What a batch does to the student and the companions of a prepared ``distiller``."""
    cached = context.teacher if distiller.needs & CACHED else None
    if cached is not None and Signal.STATES not in distiller.needs:
        cached = replace(cached, states=None)  # large: read from disk only for those who want them

    def step(team: Team, batch: Batch) -> LossTerms:
        signals = None if cached is None else cached.batch(batch.rows)
        return distiller.step(team, batch, signals)

    return Procedure(
        step,
        companions=distiller.companions(context),
        adapter=distiller.adapter(context),
        states=distiller.wants_states,
        rows=distiller.rows(context),
        begin_epoch=distiller.begin_epoch,
        state=distiller.state,
        restore=distiller.restore,
    )


def distil(
    distiller: Distiller, context: Context, student: Encoder, *, checkpoint: Checkpoint, stage: str
) -> TrainingResult:
    """Prepare ``distiller`` and train ``student`` in place by it.

    Args:
        distiller: the method; its stages that are cached already are not repeated.
        context: data, teacher, recipe and seed.
        student: trained in place, left with the weights of its best held-out epoch.
        checkpoint: where the state is kept; an existing one is resumed.
        stage: name for the progress display.
    """
    distiller.prepare(context)
    distiller.initialise(student)
    return teacher.fine_tune(
        context.task,
        student,
        context.splits,
        context.pad_id,
        context.recipe,
        loss=procedure(distiller, context),
        seed=context.seed,
        checkpoint=checkpoint,
        device=context.device,
        stage=stage,
        reporter=context.reporter,
    )
