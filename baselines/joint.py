"""Two models that learn side by side: what DML and ProKT share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from reaugkd.batch import TEACHER, LossTerms
from reaugkd.context import Context
from reaugkd.distiller import Conditions, Distiller, MethodSettings, Signal

if TYPE_CHECKING:
    from reaugkd.models.learner import Learner


class JointSettings(MethodSettings):
    """How the teacher is trained beside the student."""

    teacher_learning_rate: float | None = Field(
        None,
        ge=0,
        le=1,
        description="the teacher's peak learning rate; none: that of the teacher's recipe, 0: the "
        "teacher stays as it is. Source: ours; ProKT's scripts use 3e-5",
    )


class Joint(Distiller):
    """A method whose teacher starts untrained and learns together with the student.

    The companion ``teacher`` has an optimiser and a schedule of its own, by the teacher's recipe;
    epochs, batch size and accumulation are the student's. Only the student is evaluated and kept.
    """

    needs: ClassVar[frozenset[Signal]] = frozenset({Signal.UNTRAINED})
    Settings: ClassVar[type[MethodSettings]] = JointSettings

    def unsupported(self, conditions: Conditions) -> str | None:
        """Regression: the KL between two softmaxes over one output is 0 whatever they say."""
        if conditions.task.regression:
            return (
                f"{self.name} needs classes: over one output every softmax is 1, so the KL that "
                "the two models learn from each other by would always be 0"
            )
        return None

    def companions(self, context: Context) -> Mapping[str, Learner]:
        """The teacher before fine-tuning, with an optimiser of its own."""
        recipe, rate = context.teacher_recipe, self.settings.teacher_learning_rate
        if rate is not None:
            # Not validated on purpose: a rate of 0, which a recipe refuses, moves nothing.
            recipe = recipe.model_copy(update={"learning_rate": rate})
        return {TEACHER: context.learner(context.models.untrained(), recipe, reads=TEACHER)}


def together(student: LossTerms, teacher: LossTerms) -> LossTerms:
    """The terms of both, the teacher's as ``teacher_...``; for the log, nobody minimises the sum.

    >>> import torch
    >>> terms = LossTerms({"hard": torch.tensor(1.0)}, {"hard": 1.0})
    >>> together(terms, terms).floats()
    {'hard': 1.0, 'teacher_hard': 1.0}
    """
    values = {f"{TEACHER}_{name}": value for name, value in teacher.values.items()}
    weights = {f"{TEACHER}_{name}": weight for name, weight in teacher.weights.items()}
    return LossTerms({**student.values, **values}, {**student.weights, **weights})
