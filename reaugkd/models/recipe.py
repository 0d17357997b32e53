"""The hyper-parameters of a model and of its training."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from reaugkd.errors import UserError

Precision = Literal["fp32", "bf16"]
AskedPrecision = Literal["fp32", "bf16", "auto"]
"""What a recipe may ask for; ``auto`` is whichever of the two is faster on the machine."""

Pooling = Literal["cls", "pooler", "mean"]


class Recipe(BaseModel):
    """How a model is trained. Sources of the defaults: the PKD scripts unless said otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    learning_rate: float = Field(5e-5, gt=0, description="peak of the linear schedule")
    epochs: int = Field(4, ge=1, le=1000)
    batch_size: int = Field(32, ge=1, description="examples per forward pass")
    accumulation: int = Field(1, ge=1, description="forward passes per optimiser step")
    weight_decay: float = Field(0.01, ge=0, description="not on biases and norms")
    warmup: float = Field(0.1, ge=0, le=1, description="share of all steps")
    clip: float = Field(1.0, gt=0, description="largest gradient norm")
    precision: AskedPrecision = Field(
        "fp32",
        description="bf16 is autocast, losses stay fp32; auto: bf16 where a step is clearly faster",
    )
    patience: int = Field(0, ge=0, description="epochs without a better score; 0: never stop early")

    @property
    def decided_precision(self) -> Precision:
        """The precision that models run in; ``auto`` is decided before anything is keyed or run.

        Raises:
            UserError: if it is still ``auto``.
        """
        if self.precision == "auto":
            raise UserError(
                "recipe.precision 'auto' is not decided yet: `bench run` times a step first; in "
                "Python see reaugkd.training.precision, or say fp32 or bf16"
            )
        return self.precision

    def identity(self) -> dict[str, Any]:
        """Plain JSON that decides a training; a UserError tells of a precision left open.

        With accumulation it says how a window of batches is weighted: results of versions that gave
        the last one of an epoch too little weight have another key.

        >>> Recipe(accumulation=2).identity().keys() - Recipe().identity().keys()
        {'windows'}
        """
        windows = {"windows": "weighted by rows"} if self.accumulation > 1 else {}
        return {**self.model_dump(mode="json"), "precision": self.decided_precision, **windows}

    def steps(self, rows: int) -> int:
        """Optimiser steps of a whole run over ``rows`` examples.

        >>> Recipe(epochs=3, batch_size=8, accumulation=2).steps(33)
        9
        """
        batches = -(-rows // self.batch_size)
        return self.epochs * -(-batches // self.accumulation)


class TeacherRecipe(Recipe):
    """A recipe that may also leave the model as it is."""

    epochs: int = Field(4, ge=0, le=1000, description="0: the teacher is not trained")
