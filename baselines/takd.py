"""TAKD: distillation over assistants (Mirzadeh et al., AAAI 2020)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, field_validator, model_validator

from baselines.kd import KD
from reaugkd.context import Context, reader_of
from reaugkd.distiller import Conditions, KDSettings, MethodSettings
from reaugkd.errors import ModelError
from reaugkd.losses import SOFT_TERMS, SoftLoss, SoftTerm
from reaugkd.models.layers import spread
from reaugkd.models.spec import CONFIG, PRETRAINED, TEACHER, ModelSpec
from reaugkd.signals import TeacherSignals

AUTO = "auto"
ONE_FOR_ALL = KDSettings()

Link = int | str


def halfway(teacher: int, student: int) -> int | None:
    """The depth half-way between two depths, rounded down, or None if none lies between.

    >>> halfway(12, 6), halfway(6, 3), halfway(3, 2)
    (9, 4, None)
    """
    return (teacher + student) // 2 if teacher - student > 1 else None


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
        entries, elements = len(self.per_assistant), len(self.chain)
        if entries not in (0, elements):
            raise ValueError(f"per_assistant has {entries} entries, the chain {elements} elements")
        return self


class Assistant(NamedTuple):
    """One assistant: its model and how it is distilled."""

    spec: ModelSpec
    settings: KDSettings


class TAKD(KD):
    """Each model of a chain is distilled from the one before; the student from the last.

    Every stage is KD, keeps its best held-out epoch and is frozen; the next one reads its cached
    logits. With an empty chain it is vanilla KD. Departures from the official code, each verified
    there: ``soft_term``, weights that are explicit instead of lam and 1 - lam, and an assistant
    that is chosen on ``held_out``, not on the test set.
    """

    name: ClassVar[str] = "takd"
    Settings: ClassVar[type[MethodSettings]] = TAKDSettings

    @property
    def soft(self) -> SoftLoss:
        """As ``soft_term`` says."""
        return SOFT_TERMS[self.settings.soft_term]

    def unsupported(self, conditions: Conditions) -> str | None:
        """More layers than the teacher has, no depth between teacher and student, or no epoch."""
        if self.settings.assistant_recipe == "teacher" and not conditions.teacher_epochs:
            return "takd.assistant_recipe is the teacher's, which has no epoch: use 'student'"
        if conditions.teacher is None:
            return self._without_layers()
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

    def _without_layers(self) -> str | None:
        """Why there can be no chain below a teacher whose layers are unknown, or None."""
        counted = [link for link in self.settings.chain if isinstance(link, int) or link == AUTO]
        if not counted:
            return None
        return (
            f"takd.chain {counted[0]} is a number of layers of the teacher, and a black-box "
            "teacher has none: name checkpoints in takd.chain"
        )

    def further_models(self) -> tuple[ModelSpec, ...]:
        """The models that the chain names."""
        names = (link for link in self.settings.chain if isinstance(link, str))
        return tuple(ModelSpec.parse(name) for name in names if name not in (AUTO, TEACHER))

    def stages(self, teacher: int, student: int) -> Iterator[Assistant]:
        """The assistants for a teacher and a student of these depths."""
        settings: TAKDSettings = self.settings
        each = settings.per_assistant or (settings.assistant,) * len(settings.chain)
        for link, weights in zip(settings.chain, each, strict=True):
            if link == TEACHER:
                continue
            count = halfway(teacher, student) if link == AUTO else link
            if count is None:
                raise ValueError(f"no depth lies between {teacher} and {student} layers")
            if isinstance(count, str):
                spec = ModelSpec.parse(count)
            else:
                spec = ModelSpec(source=PRETRAINED, layers=spread(count, teacher))
            yield Assistant(spec, weights)

    def prepare(self, context: Context) -> TeacherSignals | None:
        """Train (or find) the assistants one after the other; the last one's signals."""
        shapes = context.models.teacher_shape, context.models.student_shape
        signals, key = self.cached(context), ""
        for number, stage in enumerate(self.stages(shapes[0].depth, shapes[1].depth), start=1):
            signals, key = self._assistant(context, stage, signals, key, f"assistant {number}")
        return signals

    def _assistant(
        self,
        context: Context,
        stage: Assistant,
        signals: TeacherSignals | None,
        previous: str,
        title: str,
    ) -> tuple[TeacherSignals, str]:
        """One assistant distilled from ``signals``: what it says itself, and its key."""
        settings: TAKDSettings = self.settings
        by_teacher = settings.assistant_recipe == "teacher"
        recipe = context.teacher_recipe if by_teacher else context.recipe
        seed = context.teacher_seed if settings.assistant_seed == "teacher" else context.seed

        def build(folder: Path) -> dict[str, Any]:
            from reaugkd.training.loop import TrainingOptions
            from reaugkd.training.stage import train_and_record

            last_link = {**stage.settings.model_dump(), "chain": ()}
            result, cost = train_and_record(
                context.models.build(stage.spec, seed),
                TAKD(settings.model_copy(update=last_link)),
                context.setup(reader_of(stage.spec), recipe, seed),
                folder,
                TrainingOptions(source=signals),
                title=title,
            )
            facts = {"score": result.score, "epoch": result.epoch, "history": result.history}
            return {**facts, "cost": cost}

        identity = {
            "model": stage.spec.identity(),
            "recipe": recipe.identity(),
            "settings": stage.settings.model_dump(mode="json"),
            "soft_term": settings.soft_term,
            "seed": seed,
            "previous": previous,
        }
        artifact = context.stage("assistant", identity, build)
        return TeacherSignals.open(artifact.path, "fit"), artifact.key
