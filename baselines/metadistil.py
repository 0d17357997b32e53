"""MetaDistil (Zhou, Xu and McAuley, 2022): the teacher learns to teach from the student's quiz.

Per batch: a pilot step of the student, the quiz loss of the pilot, a step of the teacher down that
loss, then the student's real step with the teacher as it is now. The hypergradient is exact and
cheap, see :mod:`baselines.hypergradient`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from baselines.hypergradient import Objective, SoftForm, hypergradient, quiz_rows, take_quiz
from reaugkd.batch import TEACHER, Batch, LossTerms, SignalBatch
from reaugkd.context import Context
from reaugkd.distiller import Conditions, Distiller, KDSettings, MethodSettings, Signal
from reaugkd.losses import precise
from reaugkd.settings import Positive, Temperature, Weight

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from reaugkd.models.encoder import EncoderOutput
    from reaugkd.models.learner import Learner, Team
    from reaugkd.training.batches import Collator

DRAW = 9  # keeps the quiz draws apart from other draws of the same seed


class MetaDistilSettings(KDSettings):
    """Defaults of the official code for text, except for the soft term and PKD's share of it."""

    temperature: Temperature = Field(
        5.0, description="T of the soft labels. Source: official code, 5"
    )
    soft_weight: Positive = Field(
        0.5,
        description="weight of the soft term, the teacher's only way to the student. "
        "Source: official code, alpha 0.5",
    )
    hard_weight: Weight = Field(
        0.5, description="weight of the true-label loss. Source: official code, 1 - alpha"
    )
    soft_term: SoftForm = Field(
        "kl",
        description="form of the soft term. Source: kl is this project's convention; the official "
        "code for text has softmax-mse, or logit-mse by a flag",
    )
    pilot_learning_rate: Positive = Field(
        5e-5,
        description="step of plain SGD to the pilot student, the key setting. "
        "Source: official code, 5e-5",
    )
    teacher_learning_rate: Weight = Field(
        1e-5,
        description="of the teacher's AdamW, without weight decay and warm-up; 0 freezes the "
        "teacher. Source: official code, 1e-5",
    )
    every: int = Field(
        1, ge=1, description="the teacher learns on every n-th batch. Source: official code, 1"
    )
    quiz_share: float = Field(
        0.1,
        gt=0,
        le=0.5,
        description="share of fit kept for the quiz. Source: the paper, 10 % (recalled)",
    )
    quiz_seed: int = Field(0, ge=0, lt=2**32, description="chooses the quiz rows. Source: ours")
    quiz_batches: Annotated[int, Field(ge=1)] | Literal["all"] = Field(
        1,
        description="batches per quiz, at least 1; all is the whole quiz set. "
        "Source: ours; the official default is all",
    )
    quiz_batch_size: Annotated[int, Field(ge=1)] | None = Field(
        None, description="examples per quiz batch; None is the student's batch size. Source: ours"
    )


class MetaDistil(Distiller):
    """A pilot step of the student, a quiz, a step of the teacher, then the student's real step.

    The real step is taken from where the pilot started, on the same batch and with the same dropout
    masks, with the teacher as it is after its own step. Nothing can be cached.
    """

    name: ClassVar[str] = "metadistil"
    needs: ClassVar[frozenset[Signal]] = frozenset({Signal.TEACHER})
    Settings: ClassVar[type[MethodSettings]] = MetaDistilSettings

    def __init__(self, settings: MethodSettings | None = None) -> None:
        super().__init__(settings)
        self._collate: Collator | None = None
        self._quiz: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._quiz_size = 0
        self._objective = Objective(self.settings, self.settings.soft_term)

    def unsupported(self, conditions: Conditions) -> str | None:
        """Regression with a softmax term, and gradients that are accumulated over batches."""
        if conditions.task.regression and self.settings.soft_term != "logit-mse":
            return (
                "the softmax of one output is constant, so the quiz would teach the teacher "
                "nothing: set metadistil.soft_term = 'logit-mse'"
            )
        if conditions.accumulation > 1:
            return (
                "the pilot step belongs to a whole batch: set accumulation to 1 "
                f"(found {conditions.accumulation})"
            )
        return None

    def _quiz_rows(self, context: Context) -> NDArray[np.int64]:
        return quiz_rows(context.labels, self.settings.quiz_share, self.settings.quiz_seed)

    def prepare(self, context: Context) -> None:
        """Set the quiz rows of ``fit`` aside; they come from neither ``dev`` nor ``held_out``."""
        from reaugkd.training.batches import Collator

        self._quiz = self._quiz_rows(context)
        self._collate = Collator(context.splits["fit"], context.pad_id)
        self._quiz_size = self.settings.quiz_batch_size or context.recipe.batch_size

    def rows(self, context: Context) -> NDArray[np.int64]:
        """The rows of ``fit`` that are not in the quiz."""
        return np.setdiff1d(np.arange(len(context.labels)), self._quiz_rows(context))

    def companions(self, context: Context) -> Mapping[str, Learner]:
        """The fine-tuned teacher with an optimiser of its own."""
        rate = self.settings.teacher_learning_rate
        changes = {"learning_rate": rate, "weight_decay": 0.0, "warmup": 0.0}
        recipe = context.teacher_recipe.model_copy(update=changes)
        return {TEACHER: context.learner(context.models.teacher(), recipe, reads=TEACHER)}

    def step(self, team: Team, batch: Batch, signals: SignalBatch | None) -> LossTerms:
        """Terms ``soft`` and ``hard``, and ``quiz`` (weight 0) where every batch has one.

        One forward pass of the student serves pilot and real step, which share weights, rows and
        masks, so the random numbers are those of plain distillation.
        """
        from torch.nn.attention import SDPBackend, sdpa_kernel

        teacher, moves = team.companions[TEACHER], self.settings.teacher_learning_rate > 0
        meta = moves and team.moment % self.settings.every == 0
        lesson = teacher.provide(batch, gradient=meta)
        if meta:
            with sdpa_kernel(SDPBackend.MATH):  # a GPU's fused kernels have no second derivative
                output = team.student.forward(batch)
            quiz = self._teach(team, output.logits, lesson.logits, batch)
            lesson = teacher.provide(batch)
        else:
            output = team.student.forward(batch)
            if moves:
                teacher.rest()
        terms = self.loss(output, SignalBatch(lesson.logits, lesson.embedding), batch)
        team.student.update(terms.total)
        if meta and self.settings.every == 1:
            return LossTerms({**terms.values, "quiz": quiz}, {**terms.weights, "quiz": 0.0})
        return terms

    def loss(self, student: EncoderOutput, signals: SignalBatch | None, batch: Batch) -> LossTerms:
        """Two terms, ``soft`` and ``hard``."""
        if signals is None:
            raise ValueError("metadistil needs the teacher's logits")
        return self._objective.terms(student.logits, signals.logits, batch.labels)

    def _teach(self, team: Team, z_s: Tensor, z_t: Tensor, batch: Batch) -> Tensor:
        """Move the teacher by the hypergradient; the quiz loss."""
        student, teacher = team.student, team.companions[TEACHER]
        batches = self._quiz_batches(team, batch.labels.device)
        loss, cotangent = hypergradient(
            student.plain,
            z_s,
            z_t,
            batch.labels,
            objective=self._objective,
            rate=self.settings.pilot_learning_rate,
            quiz=lambda pilot: take_quiz(student, pilot, batches),
        )
        student.backwards += 2 * len(batch.labels)  # J^T u of the pilot, and J v
        teacher.update((precise(z_t) * cotangent).sum())
        return loss

    def _quiz_batches(self, team: Team, device: torch.device) -> list[Batch]:
        """The quiz of this moment, drawn from seed and moment alone: a resumed run draws it too."""
        if self._collate is None:
            raise RuntimeError("MetaDistil.prepare has not run: there is no quiz yet")
        rows, size = self._quiz, self._quiz_size
        if self.settings.quiz_batches != "all":
            generator = np.random.default_rng([team.seed, team.moment, DRAW])
            rows = generator.permutation(rows)[: size * self.settings.quiz_batches]
        parts = [self._collate(rows[at : at + size].tolist()) for at in range(0, len(rows), size)]
        return [part.to(device) for part in parts]
