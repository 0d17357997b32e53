"""What a training step passes around: examples, signals, loss terms; the ground floor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor, device

STUDENT, TEACHER = "student", "teacher"  # the readers of a run: whose tokenizer made some token ids


class Batch(NamedTuple):
    """One batch of examples.

    Attributes:
        inputs: the student's keyword arguments, e.g. ``input_ids`` [B, L] int64.
        labels: [B] int64 class ids or float32 scores.
        rows: [B] int64, row numbers in the split, the key of everything cached per example.
        others: the same rows for readers with another tokenizer than the student's.
    """

    inputs: dict[str, Tensor]
    labels: Tensor
    rows: Tensor
    others: Mapping[str, dict[str, Tensor]] = {}

    def read_by(self, reader: str) -> dict[str, Tensor]:
        """The inputs for a model that reads the token ids of ``reader``."""
        return self.others.get(reader, self.inputs)

    def to(self, device: device) -> Batch:
        """The batch on ``device``."""

        def moved(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
            return {name: value.to(device) for name, value in inputs.items()}

        others = {reader: moved(inputs) for reader, inputs in self.others.items()}
        return Batch(moved(self.inputs), self.labels.to(device), self.rows.to(device), others)


class SignalBatch(NamedTuple):
    """The teacher's signals for one batch, float32.

    Attributes:
        logits: [B, C].
        embedding: [B, H_t], or None: a black-box teacher may have none.
        states: [B, D_t + 1, H_t], the [CLS] vectors of the embeddings (index 0) and of every layer,
            cached in half precision; None unless the method needs ``STATES``.
    """

    logits: Tensor
    embedding: Tensor | None = None
    states: Tensor | None = None


@dataclass(frozen=True)
class LossTerms:
    """Named terms with explicit weights; the sum is what is minimised, each term is logged.

    >>> import torch
    >>> terms = LossTerms({"soft": torch.tensor(2.0), "hard": torch.tensor(1.0)},
    ...                   {"soft": 0.9, "hard": 0.1})
    >>> round(terms.total.item(), 6)
    1.9
    """

    values: Mapping[str, Tensor]
    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        if self.values.keys() != self.weights.keys():
            raise ValueError(f"terms {sorted(self.values)} but weights {sorted(self.weights)}")

    @property
    def total(self) -> Tensor:
        """The weighted sum. A term of weight 0 is left out, so it costs no backward pass."""
        parts = [
            self.weights[name] * value for name, value in self.values.items() if self.weights[name]
        ]
        if not parts:
            raise ValueError("every term of the loss has weight 0")
        return sum(parts[1:], start=parts[0])

    def plus(self, **terms: tuple[float, Tensor]) -> LossTerms:
        """These terms and further ones, each given as its weight and its value."""
        weights = {name: weight for name, (weight, _) in terms.items()}
        values = {name: value for name, (_, value) in terms.items()}
        return LossTerms({**self.values, **values}, {**self.weights, **weights})

    def floats(self) -> dict[str, float]:
        """The unweighted terms as plain numbers, for logs."""
        return {name: float(value.detach()) for name, value in self.values.items()}


class Shape(NamedTuple):
    """Width of an encoder's embedding and number of its layers."""

    width: int
    depth: int
