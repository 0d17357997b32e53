"""Settings that methods share: strict, documented, with KD's two weights."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class MethodSettings(BaseModel):
    """Base of every method's settings: unknown names are errors, every field is documented."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NoSettings(MethodSettings):
    """For methods that have nothing to set."""


class KDSettings(MethodSettings):
    """The canonical soft-label term with two free weights (methods differ in what alpha means)."""

    temperature: float = Field(
        2.0,
        gt=0,
        le=100,
        description="T of the soft labels. Source: AD-KD per-task scripts use 1-4",
    )
    soft_weight: float = Field(
        0.9, ge=0, description="weight of T^2 KL(teacher || student). Source: RepDistiller, 0.9"
    )
    hard_weight: float = Field(
        0.1, ge=0, description="weight of the true-label loss. Source: RepDistiller, 0.1"
    )

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if self.soft_weight == 0 and self.hard_weight == 0:
            raise ValueError("soft_weight and hard_weight are both 0: nothing would be learned")
        return self
