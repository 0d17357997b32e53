"""TAKD: distillation over assistants (Mirzadeh et al., AAAI 2020)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator
from torch import Tensor

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
from reaugkd.errors import ModelError
from reaugkd.losses import hard_label, soft_label
from reaugkd.models.encoder import EncoderOutput
from reaugkd.models.spec import CONFIG, PRETRAINED, TEACHER, ModelSpec
from reaugkd.signals import TeacherSignals, take

AUTO = "auto"
ONE_FOR_ALL = KDSettings()

SoftTerm = Literal["batchmean", "official"]
Link = int | str


def halfway(teacher: int, student: int) -> int | None:
    """The depth half-way between two depths, rounded down, or None if none lies between.

    >>> halfway(12, 6), halfway(6, 3), halfway(3, 2)
    (9, 4, None)
    """
    return (teacher + student) // 2 if teacher - student > 1 else None


def evenly(count: int, depth: int) -> tuple[int, ...]:
    """``count`` of ``depth`` layers (0-based), evenly spread from the first one on.

    >>> evenly(3, 6), evenly(9, 12)
    ((0, 2, 4), (0, 1, 2, 4, 5, 6, 8, 9, 10))
    """
    return tuple(index * depth // count for index in range(count))


def distillation(
    student: Tensor, teacher: Tensor, labels: Tensor, settings: KDSettings, soft_term: SoftTerm
) -> LossTerms:
    """The loss of every stage, ``soft`` and ``hard``.

    Args:
        student: logits [B, C].
        teacher: logits [B, C] of the previous model, taken as a constant.
        labels: [B], class ids or scores.
        settings: T and the two weights.
        soft_term: ``"batchmean"``, or ``"official"``: T^2 KL divided by C as well, because the
            official code leaves ``KLDivLoss`` at its default ``"mean"`` (verified).
    """
    soft = soft_label(student, teacher, settings.temperature)
    return LossTerms(
        {
            "soft": soft / student.shape[1] if soft_term == "official" else soft,
            "hard": hard_label(student, labels),
        },
        {"soft": settings.soft_weight, "hard": settings.hard_weight},
    )


class TAKDSettings(KDSettings):
    """The chain of assistants; temperature and weights at the top are the student's own."""

    chain: tuple[Link, ...] = Field(
        (AUTO,),
        description="the assistants from the teacher's side on: a number of layers of the "
        "teacher's checkpoint, auto (half-way between teacher and student), a model (hub name, "
        "path, pretrained@0,2,4, teacher@0,2,4), or teacher for the teacher itself. Source: the "
        "paper advises the middle size (recalled); the depth its users took for BERT is unknown",
    )
    assistant: KDSettings = Field(
        ONE_FOR_ALL,
        description="temperature and weights of the assistants' stages. Source: the official code "
        "sets them for each stage",
    )
    per_assistant: tuple[KDSettings, ...] = Field(
        (),
        description="the same for each element of the chain in its order, instead of assistant; "
        "empty: assistant for all. Source: the official code sets them for each stage",
    )
    assistant_recipe: Literal["student", "teacher"] = Field(
        "student",
        description="whose recipe the assistants are trained with. Source: student, as the "
        "official code trains all stages by the same script",
    )
    assistant_seed: Literal["teacher", "student"] = Field(
        "teacher",
        description="teacher: one chain for all student seeds, like the teacher itself; student: "
        "each student seed has its own. Source: ours",
    )
    soft_term: SoftTerm = Field(
        "batchmean",
        description="official divides the soft-label term by the number of classes, in all "
        "stages. Source: batchmean is this project's convention, official the official code's",
    )

    @field_validator("chain", mode="before")
    @classmethod
    def _one_is_a_chain(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int | str) else value

    @field_validator("chain")
    @classmethod
    def _known(cls, chain: tuple[Link, ...]) -> tuple[Link, ...]:
        for place, link in enumerate(chain):
            if isinstance(link, int):
                if link < 1:
                    raise ValueError(f"an assistant of {link} layers: at least 1")
                continue
            if link.isdigit():
                raise ValueError(f"'{link}': a number of layers is written without quotes")
            try:
                spec = ModelSpec.parse(link)
            except ModelError as error:
                raise ValueError(str(error)) from error
            if spec.source == CONFIG:
                raise ValueError("'config' has no place for its fields: give a number of layers")
            if link == TEACHER and place > 0:
                raise ValueError("'teacher' can only come first: what is before it would be lost")
        if chain.count(AUTO) > 1:
            raise ValueError("'auto' can stand once: give numbers of layers for more assistants")
        return chain

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        given, needed = len(self.per_assistant), len(self.chain)
        if given not in (0, needed):
            raise ValueError(f"per_assistant has {given} entries, the chain {needed} elements")
        return self


class Stage(NamedTuple):
    """One assistant: its model and how it is distilled."""

    spec: ModelSpec
    settings: KDSettings


class TAKD(Distiller):
    """Each model of a chain is distilled from the one before; the student from the last.

    Every stage minimises the same loss (:func:`distillation`), keeps its best held-out epoch and is
    frozen; the next one reads its cached logits. The teacher's own logits reach the first stage
    alone, with an empty chain the student, which is vanilla KD.

    Departures from the official code, each verified there: the soft-label term is not divided by
    the number of classes (``soft_term``), the weights are explicit instead of lam and 1 - lam, and
    an assistant is chosen on ``held_out``, not on the test set.
    """

    name: ClassVar[str] = "takd"
    needs: ClassVar[frozenset[Signal]] = frozenset({Signal.LOGITS})
    Settings: ClassVar[type[MethodSettings]] = TAKDSettings

    def __init__(self, settings: MethodSettings | None = None) -> None:
        super().__init__(settings)
        self._logits: NDArray[np.float32] | None = None

    def unsupported(self, conditions: Conditions) -> str | None:
        """More layers than the teacher has, or no depth between teacher and student."""
        if conditions.teacher is None:
            return "takd needs a teacher"
        depth, student = conditions.teacher.depth, conditions.student.depth
        for link in self.settings.chain:
            if isinstance(link, int) and link > depth:
                return f"takd.chain has an assistant of {link} layers, the teacher has only {depth}"
            if link == AUTO and halfway(depth, student) is None:
                return (
                    f"takd.chain is 'auto', but no depth lies strictly between the teacher "
                    f"({depth} layers) and the student ({student}): name the assistants in "
                    "takd.chain, e.g. a checkpoint"
                )
        return None

    def further_models(self) -> tuple[ModelSpec, ...]:
        """The models that the chain names."""
        names = (link for link in self.settings.chain if isinstance(link, str))
        return tuple(ModelSpec.parse(name) for name in names if name not in (AUTO, TEACHER))

    def stages(self, teacher: int, student: int) -> Iterator[Stage]:
        """The assistants for a teacher and a student of these depths.

        Raises:
            ValueError: if ``"auto"`` finds no depth between them.
        """
        settings: TAKDSettings = self.settings
        each = settings.per_assistant or (settings.assistant,) * len(settings.chain)
        for link, own in zip(settings.chain, each, strict=True):
            if link == TEACHER:
                continue
            count = halfway(teacher, student) if link == AUTO else link
            if count is None:
                raise ValueError(f"no depth lies between {teacher} and {student} layers")
            if isinstance(count, str):
                yield Stage(ModelSpec.parse(count), own)
            else:
                yield Stage(ModelSpec(source=PRETRAINED, layers=evenly(count, teacher)), own)

    def prepare(self, context: Context) -> None:
        """Train (or find) the assistants one after the other."""
        shapes = context.models.teacher_shape, context.models.student_shape
        logits, key = context.teacher.logits, ""
        for number, stage in enumerate(self.stages(shapes[0].depth, shapes[1].depth), start=1):
            logits, key = self._assistant(context, stage, logits, key, f"assistant {number}")
        self._logits = logits

    def _assistant(
        self,
        context: Context,
        stage: Stage,
        logits: NDArray[np.float32],
        previous: str,
        title: str,
    ) -> tuple[NDArray[np.float32], str]:
        """One assistant distilled from ``logits`` [N, C]: its own logits [N, C] and its key."""
        settings: TAKDSettings = self.settings
        by_teacher = settings.assistant_recipe == "teacher"
        recipe = context.teacher_recipe if by_teacher else context.recipe
        seed = context.teacher_seed if settings.assistant_seed == "teacher" else context.seed

        def loss(output: EncoderOutput, batch: Batch) -> LossTerms:
            taught = take(logits, batch.rows)
            return distillation(
                output.logits, taught, batch.labels, stage.settings, settings.soft_term
            )

        def build(folder: Path) -> dict[str, Any]:
            encoder = context.models.build(stage.spec, seed)
            result = context.train(encoder, loss, folder, recipe=recipe, seed=seed, stage=title)
            rows = context.write_signals(encoder, folder, recipe, title)
            kept = {"score": result.score, "epoch": result.epoch, "history": result.history}
            return {**kept, "cost": cost(result, forwards=rows)}

        identity = {
            "model": stage.spec.identity(),
            "recipe": recipe.model_dump(mode="json"),
            "settings": stage.settings.model_dump(mode="json"),
            "soft_term": settings.soft_term,
            "seed": seed,
            "previous": previous,
        }
        artifact = context.stage("assistant", identity, build)
        return TeacherSignals.open(artifact.path, "fit").logits, artifact.key

    def loss(self, student: EncoderOutput, signals: SignalBatch | None, batch: Batch) -> LossTerms:
        """Two terms, ``soft`` (from the last assistant) and ``hard``."""
        if self._logits is None:
            raise RuntimeError("TAKD.prepare has not run: there are no assistants yet")
        taught, settings = take(self._logits, batch.rows), self.settings
        return distillation(student.logits, taught, batch.labels, settings, settings.soft_term)
