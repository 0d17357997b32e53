"""A planned cell, as the plan of a run names it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from bench.records.base import FLOAT_BITS, NEVER, NONE, Base, Dims, skipping
from reaugkd.retrieval.condense import FULL

Kind = Literal["training", "retrieval", "control"]


class Planned(BaseModel):
    """The names of a cell: what ``run.json`` keeps of it, and all that a report needs.

    Kinds are ``training`` (one student), ``retrieval`` (that student, one base, one backend) and
    ``control`` (that student with what is no knowledge base). Backend, rule of skipping and all
    that makes a knowledge base (:class:`bench.records.base.Base`) are of a retrieval cell.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    kind: Kind
    key: str = Field(description="fingerprint of everything that decides the result")
    task: str
    method: str
    seed: int
    backend: str | None = None
    keys: str | None = None
    values: str | None = None
    share: float | None = None
    control: str | None = None
    condense: str = Field(FULL, exclude_if=lambda spec: spec == FULL)  # so that plans of what was
    # there before stay as they were; so for all that follow
    pca: Dims = Field(NONE, exclude_if=lambda dims: dims == NONE)
    value_bits: int = Field(FLOAT_BITS, exclude_if=lambda bits: bits == FLOAT_BITS)
    count_weight: bool = Field(False, exclude_if=lambda weighs: not weighs)
    skip_rule: str = Field(
        NEVER, exclude_if=lambda rule: rule == NEVER, description="whom the student answers alone"
    )
    asked: str | None = Field(None, description="the spec that left the backend open, e.g. auto")
    needs: str | None = Field(None, description="key of the training cell it follows")

    @property
    def base(self) -> Base:
        """The knowledge base of a retrieval cell.

        Raises:
            ValueError: if it is no retrieval cell.
        """
        if self.keys is None or self.values is None:
            raise ValueError(f"{self.task} {self.method}: a {self.kind} cell has no knowledge base")
        share = 1.0 if self.share is None else self.share
        return Base(
            self.method,
            self.seed,
            self.keys,
            self.values,
            share,
            self.control or NONE,
            self.condense,
            self.pca,
            self.value_bits,
            self.count_weight,
        )

    @property
    def label(self) -> str:
        """The cell in a few words; no other cell of a run has the same."""
        return self._label(f" seed {self.seed}")

    @property
    def row(self) -> str:
        """The label without its seed: what a report makes one row of."""
        return self._label("")

    def _label(self, seed: str) -> str:
        what = ", ".join([self.base.label, *skipping(self.skip_rule)]) if self.backend else ""
        base = f" + {self.backend} ({what})" if self.backend else ""
        controls = ": controls" if self.kind == "control" else ""
        return f"{self.task} {self.method}{seed}{base}{controls}"

    @property
    def student(self) -> str:
        """Key of the training cell: its own, or that of the student it stands on."""
        return self.needs or self.key
