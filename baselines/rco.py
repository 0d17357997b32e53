"""RCO: a curriculum along the teacher's own training route (Jin et al., ICCV 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from reaugkd.artifacts.store import SCRATCH
from reaugkd.context import Context, cost
from reaugkd.distiller import (
    Batch,
    Conditions,
    Distiller,
    KDSettings,
    LossTerms,
    MethodSettings,
    Signal,
    SignalBatch,
)
from reaugkd.losses import hard_label, soft_label
from reaugkd.models.encoder import Encoder, EncoderOutput
from reaugkd.signals import take
from reaugkd.training import inference
from reaugkd.training.loop import minimise, steps_of
from reaugkd.training.teacher import true_labels

Table = NDArray[np.float32]


def equal_anchors(count: int) -> tuple[float, ...]:
    """The paper's "equal epoch interval" as fractions of the teacher's training.

    >>> equal_anchors(4)
    (0.25, 0.5, 0.75, 1.0)
    """
    return tuple(number / count for number in range(1, count + 1))


def blocks(epochs: int, anchors: int) -> tuple[int, ...]:
    """Student epochs for each anchor: floor((k+1) E / M) - floor(k E / M) for k = 0 .. M - 1.

    The last anchor, the final teacher, always has at least one; with E < M others have none.

    >>> blocks(10, 4)
    (2, 3, 2, 3)
    """
    return tuple((k + 1) * epochs // anchors - k * epochs // anchors for k in range(anchors))


def anchor_of(epoch: int, epochs: int, anchors: int) -> int:
    """Number (from 0) of the anchor that teaches in ``epoch`` (from 0) of ``epochs``."""
    ends = np.cumsum(blocks(epochs, anchors))
    return int(np.searchsorted(ends, epoch, side="right"))


def route_steps(fractions: Sequence[float], steps: int) -> tuple[int, ...]:
    """Optimiser steps of the teacher's fine-tuning at ``fractions`` of ``steps``, at least 1.

    >>> route_steps(equal_anchors(4), 12)
    (3, 6, 9, 12)
    """
    return tuple(max(1, round(fraction * steps)) for fraction in fractions)


class RCOSettings(KDSettings):
    """The KD term and the anchors."""

    anchors: tuple[float, ...] = Field(
        (0.1, 0.3, 0.6, 1.0),
        description="shares of the teacher's optimiser steps at which it teaches, the last one is "
        "1, the final teacher; a whole number M stands for M equal intervals. Source: ours; the "
        "paper's equal intervals and its number of anchors (about 4) are third party",
    )

    @field_validator("anchors", mode="before")
    @classmethod
    def _equal(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            return equal_anchors(value)
        return value

    @field_validator("anchors")
    @classmethod
    def _a_route(cls, anchors: tuple[float, ...]) -> tuple[float, ...]:
        if not anchors or anchors[-1] != 1.0:
            raise ValueError("the last anchor must be 1, the final teacher")
        if anchors[0] <= 0 or any(b <= a for a, b in pairwise(anchors)):
            raise ValueError("anchors are shares between 0 and 1, each larger than the one before")
        return anchors


class RCO(Distiller):
    """KD from a teacher that grows up: early anchors first, the final teacher in the last block.

    soft_weight T^2 KL(anchor || student) + hard_weight CE. The teacher's own fine-tuning is
    repeated step by step (same weights, data order and dropout masks) and its logits are written
    down on the way. The final teacher is the one that teaches all other methods: the best
    held-out epoch of that same route, so it may lie before the latest anchors.

    The student's epochs are divided into one block per anchor; there is one optimiser and one
    learning-rate schedule for all of them.
    """

    name: ClassVar[str] = "rco"
    needs: ClassVar[frozenset[Signal]] = frozenset({Signal.LOGITS, Signal.UNTRAINED})
    Settings: ClassVar[type[MethodSettings]] = RCOSettings

    def __init__(self, settings: MethodSettings | None = None) -> None:
        super().__init__(settings)
        self._tables: list[Table] = []
        self._anchor = 0

    def unsupported(self, conditions: Conditions) -> str | None:
        """Fewer epochs than anchors: some would never teach."""
        anchors, epochs = len(self.settings.anchors), conditions.epochs
        if epochs >= anchors:
            return None
        return (
            f"rco.anchors has {anchors} anchors, but the student trains for {epochs} epochs: "
            f"{anchors - epochs} would never teach; give at most {epochs}, the last one 1"
        )

    def prepare(self, context: Context) -> None:
        """Go (or have gone) the teacher's way again up to the last anchor before the final one."""
        steps = steps_of(context.teacher_recipe, len(context.splits["fit"]))
        early = route_steps(self.settings.anchors[:-1], steps)
        before = route(context, early) if early else []
        self._tables, self._anchor = [*before, context.teacher.logits], len(before)

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Change to the anchor of this epoch."""
        self._anchor = anchor_of(epoch, epochs, len(self._tables))

    def loss(self, student: EncoderOutput, signals: SignalBatch | None, batch: Batch) -> LossTerms:
        """Two terms, ``soft`` (from the anchor of this epoch) and ``hard``."""
        if not self._tables:
            raise RuntimeError("RCO.prepare has not run: there are no anchors yet")
        settings: RCOSettings = self.settings
        taught = take(self._tables[self._anchor], batch.rows)
        return LossTerms(
            {
                "soft": soft_label(student.logits, taught, settings.temperature),
                "hard": hard_label(student.logits, batch.labels),
            },
            {"soft": settings.soft_weight, "hard": settings.hard_weight},
        )


def route(context: Context, steps: Sequence[int]) -> list[Table]:
    """Logits [N_fit, C] of the teacher at ``steps`` of its own fine-tuning, a stage.

    The recipe's patience holds as it did for the teacher. At a step that the teacher never reached
    because it stopped early, the final teacher stands in.
    """
    recipe, seed = context.teacher_recipe, context.teacher_seed

    def build(folder: Path) -> dict[str, Any]:
        procedure = minimise(true_labels)
        procedure.at_steps = {step: partial(_note, context, folder, step) for step in steps}
        procedure.until = max(steps)
        result = context.train(
            context.models.untrained(),
            procedure,
            folder,
            recipe=recipe,
            seed=seed,
            stage="teacher's route",
        )
        written = sum(_path(folder, step).is_file() for step in set(steps))
        return {"cost": cost(result, forwards=written * len(context.splits["fit"]))}

    identity = {
        "steps": sorted(set(steps)),
        "recipe": recipe.model_dump(mode="json"),
        "seed": seed,
    }
    folder = context.stage("teacher-route", identity, build).path
    return [
        np.load(_path(folder, step), mmap_mode="r")
        if _path(folder, step).is_file()
        else context.teacher.logits
        for step in steps
    ]


def _path(folder: Path, step: int) -> Path:
    return folder / f"step-{step}.logits.npy"


def _note(context: Context, folder: Path, step: int, encoder: Encoder) -> None:
    """Write the teacher's logits of ``fit`` after ``step`` steps. It may run again after a kill."""
    scratch = folder / SCRATCH / "anchor"  # embeddings are not kept
    scratch.mkdir(parents=True, exist_ok=True)
    outputs = inference.run(
        encoder,
        context.splits["fit"],
        context.pad_id,
        precision=context.teacher_recipe.precision,
        into=scratch / "fit",
        stage=f"teacher at step {step}",
        reporter=context.reporter,
    )
    np.save(_path(folder, step), outputs.logits)
