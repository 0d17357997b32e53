"""SFTN: a teacher trained to be learned from, then vanilla KD (Park et al., NeurIPS 2021).

No official code was found and the paper's full text was not at hand. That branches of student
layers are trained jointly with the teacher and then dropped is from a third party's summary; the
weights 1, 3, 1 and the paper's direction of the KL are recalled, not verified; the recipe for BERT
is ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from baselines.kd import KD
from reaugkd.batch import Batch, LossTerms, SignalBatch
from reaugkd.context import Context
from reaugkd.distiller import Conditions, Distiller, KDSettings, MethodSettings, Signal
from reaugkd.losses import hard_label, precise
from reaugkd.settings import Positive, Temperature, Weight
from reaugkd.signals import TeacherSignals

if TYPE_CHECKING:
    from torch import Tensor

    from reaugkd.models.encoder import EncoderOutput
    from reaugkd.models.learner import Learner, Team

BRANCHES = "branches"
Direction = Literal["teacher||branch", "branch||teacher"]


def branch_kl(
    branches: Tensor, teacher: Tensor, tau: float, direction: Direction = "teacher||branch"
) -> Tensor:
    """tau^2 mean over branches and batch of the KL between teacher and branch; nothing detached.

    Logits are [K, B, C] and [B, C]. The gradient reaches the teacher's as well, which is the point
    of the method. The default direction, KL(teacher || branch), is that of the usual PyTorch call
    and of the second stage, so the teacher becomes easy to imitate in the sense in which it will be
    imitated. The paper writes KL(branch || teacher) (recalled, not verified). The factor tau^2 is
    this project's convention; at the paper's tau = 1 it makes no difference.
    """
    log_teacher = (precise(teacher) / tau).log_softmax(dim=-1).expand_as(branches)
    log_branch = (precise(branches) / tau).log_softmax(dim=-1)
    first, second = log_teacher, log_branch
    if direction == "branch||teacher":
        first, second = second, first
    return tau**2 * (first.exp() * (first - second)).sum(dim=-1).mean()


def branch_hard(branches: Tensor, labels: Tensor) -> Tensor:
    """Mean over branches [K, B, C] of the cross-entropy with ``labels`` [B]."""
    return hard_label(branches.flatten(0, 1), labels.repeat(len(branches)))


class SFTNSettings(KDSettings):
    """The second stage's KD term, and the joint training of teacher and branches before it."""

    start: Literal["pretrained", "fine-tuned"] = Field(
        "pretrained",
        description="what stage 1 trains: the teacher before fine-tuning, which stage 1 then is, "
        "or the fine-tuned one. Source: ours; a third party's summary has both",
    )
    blocks: int | None = Field(
        None,
        ge=2,
        description="N, blocks of teacher and student, of which N - 1 get a branch; by default 3, "
        "or fewer where a model has fewer layers. Source: ours",
    )
    teacher_hard_weight: Weight = Field(
        1.0, description="weight of the teacher's CE. Source: recalled, not verified"
    )
    kl_weight: Weight = Field(
        3.0, description="weight of the branches' mean KL. Source: recalled, not verified"
    )
    branch_hard_weight: Weight = Field(
        1.0, description="weight of the branches' mean CE. Source: recalled, not verified"
    )
    tau: Temperature = Field(
        1.0, description="temperature of the branches' KL. Source: recalled, not verified"
    )
    kl: Direction = Field(
        "teacher||branch",
        description="direction of the branches' KL. Source: ours, that of stage 2; the paper "
        "writes branch||teacher (recalled, not verified)",
    )
    branch_learning_rate: Positive = Field(
        5e-5,
        description="of the branches; all else is the teacher's recipe. Source: ours, for BERT",
    )
    select: Literal["last", "best"] = Field(
        "last",
        description="epoch of stage 1 that teaches: the last, or the teacher's best on held-out "
        "rows (a student-friendly teacher is often slightly worse itself). Source: ours",
    )

    @model_validator(mode="after")
    def _teacher_learns(self) -> Self:
        if not (self.teacher_hard_weight or self.kl_weight or self.branch_hard_weight):
            raise ValueError(
                "teacher_hard_weight, kl_weight and branch_hard_weight are all 0: "
                "the teacher would learn nothing"
            )
        return self


class StudentFriendly(Distiller):
    """Stage 1: one loss, one backward pass through the branches into the teacher.

    The teacher stands where a run has its student, and the companion ``branches`` is there unless
    both of its weights are 0. Its work is counted per branch.
    """

    name: ClassVar[str] = "sftn: student-friendly teacher"
    needs: ClassVar[frozenset[Signal]] = frozenset()
    Settings: ClassVar[type[MethodSettings]] = SFTNSettings

    @property
    def wants_states(self) -> bool:
        """The branches begin at the teacher's hidden states."""
        return True

    def loss(self, student: EncoderOutput, signals: SignalBatch | None, batch: Batch) -> LossTerms:
        """The teacher's own term, ``hard``."""
        hard = hard_label(student.logits, batch.labels)
        return LossTerms({"hard": hard}, {"hard": self.settings.teacher_hard_weight})

    def step(self, team: Team, batch: Batch, signals: SignalBatch | None) -> LossTerms:
        """One update of the teacher and of its branches."""
        settings: SFTNSettings = self.settings
        teacher, branches = team.student, team.companions.get(BRANCHES)
        if branches is None:
            return super().step(team, batch, signals)
        output = teacher.forward(batch)
        mask = batch.read_by(teacher.reads)["attention_mask"]
        with branches.masks(), branches.precision:
            logits = branches.model(output.hidden, mask)
        kl = branch_kl(logits, output.logits, settings.tau, settings.kl)
        terms = self.loss(output, signals, batch).plus(
            kl=(settings.kl_weight, kl),
            branch_hard=(settings.branch_hard_weight, branch_hard(logits, batch.labels)),
        )
        branches.forwards += logits.shape[0] * logits.shape[1]
        branches.backwards += logits.shape[0] * logits.shape[1]
        teacher.backward(terms.total)
        teacher.apply()
        branches.apply()
        return terms


class SFTN(KD):
    """A teacher trained with branches made of student layers, then KD from it.

    Stage 1 (:meth:`prepare`): ``teacher_hard_weight`` CE(teacher) + ``kl_weight`` mean KL between
    teacher and branch + ``branch_hard_weight`` mean CE(branch), by the teacher's recipe and seed;
    all students of a run share its teacher. The branches begin as copies of a fresh student's
    layers and are thrown away. Stage 2: ``soft_weight`` T^2 KL + ``hard_weight`` CE on cached
    logits.
    """

    name: ClassVar[str] = "sftn"
    needs: ClassVar[frozenset[Signal]] = frozenset({Signal.UNTRAINED})
    Settings: ClassVar[type[MethodSettings]] = SFTNSettings

    def uses(self) -> frozenset[Signal]:
        """The fine-tuned teacher instead of the untrained one with ``start = "fine-tuned"``."""
        fine_tuned = self.settings.start == "fine-tuned"
        return frozenset({Signal.TEACHER}) if fine_tuned else self.needs

    def unsupported(self, conditions: Conditions) -> str | None:
        """Regression, and models with too few layers to split."""
        if conditions.task.regression:
            return (
                "branches are compared with the teacher by a KL of class probabilities, which is "
                "constantly 0 for a regression's one output"
            )
        for role, shape in (("student", conditions.student), ("teacher", conditions.teacher)):
            wanted = self.settings.blocks or 2
            if shape is not None and shape.depth < wanted:
                return f"{wanted} blocks are too many for a {role} of depth {shape.depth}"
        return None

    def prepare(self, context: Context) -> TeacherSignals:
        """Train (or find) the student-friendly teacher; what it says of every row of ``fit``."""
        settings: SFTNSettings = self.settings
        stage_two = set(KDSettings.model_fields)
        artifact = context.stage(
            "student-friendly-teacher",
            {
                "settings": settings.model_dump(mode="json", exclude=stage_two),
                "student": dict(context.models.student_identity),
                "recipe": context.teacher_recipe.identity(),
                "seed": context.teacher_seed,
            },
            lambda folder: self._build(context, folder),
        )
        return TeacherSignals.open(artifact.path, "fit")

    def _build(self, context: Context, folder: Path) -> dict[str, Any]:
        from reaugkd.training.loop import TrainingOptions
        from reaugkd.training.stage import train_and_record

        settings: SFTNSettings = self.settings
        models = context.models
        result, cost = train_and_record(
            models.untrained() if settings.start == "pretrained" else models.teacher(),
            StudentFriendly(settings),
            context.teacher_setup,
            folder,
            TrainingOptions(companions=self._branches(context), keep=settings.select),
            title=StudentFriendly.name,
        )
        # The scores of the epoch that was kept: a poor teacher is to be seen.
        kept = result.history[result.epoch - 1].items()
        scores = {name: value for name, value in kept if not name.startswith(("loss/", "epoch"))}
        return {"cost": cost, "held_out": scores}

    def _branches(self, context: Context) -> dict[str, Learner]:
        """The companion that holds all branches; none if nothing is asked of them."""
        from baselines.branches import Branches

        settings: SFTNSettings = self.settings
        if not (settings.kl_weight or settings.branch_hard_weight):
            return {}
        models, rate = context.models, {"learning_rate": settings.branch_learning_rate}
        depth = min(models.student_shape.depth, models.teacher_shape.depth)
        student, seed = models.student(context.teacher_seed), context.teacher_seed
        blocks = settings.blocks or min(3, depth)
        branches = Branches(student, *models.teacher_shape, blocks, seed=seed)
        recipe = context.teacher_recipe.model_copy(update=rate)
        return {BRANCHES: context.learner(branches, recipe)}
