"""The hyper-parameters of a model and of its training."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Precision = Literal["fp32", "bf16"]
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
    precision: Precision = Field("fp32", description="bf16 is autocast; losses stay fp32")
    patience: int = Field(0, ge=0, description="epochs without a better score; 0: never stop early")

    def identity(self) -> dict[str, Any]:
        """Plain JSON that decides a training.

        With accumulation it says how a window of batches is weighted: results of versions that gave
        the last one of an epoch too little weight have another key.

        >>> Recipe(accumulation=2).identity().keys() - Recipe().identity().keys()
        {'windows'}
        """
        windows = {"windows": "weighted by rows"} if self.accumulation > 1 else {}
        return {**self.model_dump(mode="json"), **windows}

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
