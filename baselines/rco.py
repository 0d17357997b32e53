"""RCO: a curriculum along the teacher's own training route (Jin et al., ICCV 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, field_validator

from baselines.finetune import FineTune
from baselines.kd import KD
from reaugkd.artifacts.store import SCRATCH
from reaugkd.batch import Batch, SignalBatch
from reaugkd.context import Context, Setup
from reaugkd.distiller import Conditions, KDSettings, MethodSettings, Signal
from reaugkd.signals import TeacherSignals

if TYPE_CHECKING:
    from reaugkd.models.encoder import Encoder


def blocks(epochs: int, anchors: int) -> tuple[int, ...]:
    """Student epochs for each anchor: floor((k+1) E / M) - floor(k E / M) for k = 0 .. M - 1.

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

    >>> route_steps((0.25, 0.5, 0.75, 1.0), 12)
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
            return tuple(number / value for number in range(1, value + 1))
        return value

    @field_validator("anchors")
    @classmethod
    def _a_route(cls, anchors: tuple[float, ...]) -> tuple[float, ...]:
        if not anchors or anchors[-1] != 1.0:
            raise ValueError("the last anchor must be 1, the final teacher")
        if anchors[0] <= 0 or any(b <= a for a, b in pairwise(anchors)):
            raise ValueError("anchors are shares between 0 and 1, each larger than the one before")
        return anchors


@dataclass
class Route:
    """The signals of the anchors on ``fit`` in their order, of which one teaches at a time."""

    anchors: list[TeacherSignals]
    current: int

    def batch(self, batch: Batch) -> SignalBatch:
        """What the current anchor says of ``batch``."""
        return self.anchors[self.current].batch(batch)


class RCO(KD):
    """KD from a teacher that grows up: early anchors first, the final teacher in the last block.

    The teacher's own fine-tuning is repeated step by step (same weights, data order and dropout
    masks) and its logits are written down on the way. The final teacher is the one that teaches all
    other methods: the best held-out epoch of that same route, so it may lie before the latest
    anchors. One optimiser and one schedule serve all blocks of the student's epochs.
    """

    name: ClassVar[str] = "rco"
    needs: ClassVar[frozenset[Signal]] = frozenset({Signal.LOGITS, Signal.UNTRAINED})
    Settings: ClassVar[type[MethodSettings]] = RCOSettings

    def __init__(self, settings: MethodSettings | None = None) -> None:
        super().__init__(settings)
        self._route = Route([], 0)

    def unsupported(self, conditions: Conditions) -> str | None:
        """Fewer epochs than anchors: some would never teach."""
        anchors, epochs = len(self.settings.anchors), conditions.epochs
        if epochs >= anchors:
            return None
        return (
            f"rco.anchors has {anchors} anchors, but the student trains for {epochs} epochs: "
            f"{anchors - epochs} would never teach; give at most {epochs}, the last one 1"
        )

    def prepare(self, context: Context) -> Route:
        """Go (or have gone) the teacher's way again up to the last anchor before the final one."""
        steps = context.teacher_recipe.steps(len(context.splits["fit"]))
        early = route_steps(self.settings.anchors[:-1], steps)
        final = replace(context.teacher, states=None)
        before = repeated(context, early, final) if early else []
        self._route = Route([*before, final], len(before))
        return self._route

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Change to the anchor of this epoch."""
        self._route.current = anchor_of(epoch, epochs, len(self._route.anchors))


def repeated(context: Context, steps: Sequence[int], final: TeacherSignals) -> list[TeacherSignals]:
    """The teacher at ``steps`` of its own fine-tuning, a stage; ``final`` is how it ended.

    The recipe's patience holds as it did for the teacher. At a step that the teacher never reached
    because it stopped early, the final teacher stands in. Only logits are kept.
    """
    setup = context.teacher_setup

    def build(folder: Path) -> dict[str, Any]:
        from reaugkd.training.checkpoint import Checkpoint
        from reaugkd.training.loop import TrainingOptions, train

        result = train(
            context.models.untrained(),
            FineTune(),
            setup,
            TrainingOptions(
                at_steps={step: partial(_note, setup, folder, step) for step in steps},
                until=max(steps),
            ),
            checkpoint=Checkpoint.of_stage(folder, context.reporter),
            stage="teacher's route",
        )
        written = sum(_path(folder, step).is_file() for step in set(steps))
        return {"cost": result.cost(forwards=written * len(setup.splits["fit"]))}

    recipe, seed = setup.recipe.identity(), setup.seed
    identity = {"steps": sorted(set(steps)), "recipe": recipe, "seed": seed}
    folder = context.stage("teacher-route", identity, build).path
    paths = [_path(folder, step) for step in steps]
    return [
        replace(final, logits=np.load(path, mmap_mode="r")) if path.is_file() else final
        for path in paths
    ]


def _path(folder: Path, step: int) -> Path:
    return folder / f"step-{step}.logits.npy"


def _note(setup: Setup, folder: Path, step: int, encoder: Encoder) -> None:
    """Write the teacher's logits of ``fit`` after ``step`` steps. It may run again after a kill."""
    from reaugkd.training import inference

    scratch = folder / SCRATCH / "anchor"  # embeddings are not kept
    scratch.mkdir(parents=True, exist_ok=True)
    outputs = inference.run(
        encoder,
        setup.splits["fit"],
        setup.pad_id,
        precision=setup.recipe.decided_precision,
        into=scratch / "fit",
        stage=f"teacher at step {step}",
        reporter=setup.reporter,
    )
    np.save(_path(folder, step), outputs.logits)
