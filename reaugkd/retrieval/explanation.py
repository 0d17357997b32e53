"""Why a classifier answers as it does: who was asked, and whose word weighs how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reaugkd.retrieval.saved import Text


@dataclass(frozen=True)
class Neighbour:
    """An entry of the knowledge base that was asked.

    Attributes:
        id: its row of the training data.
        text: its text or pair, None where the classifier keeps none.
        label: the class that its value says, by name where the classifier knows it; or its score.
        values: its class probabilities, or its score.
        similarity: its cosine with the text's embedding, in [-1, 1].
        share: its weight in the answer, in [0, 1].
    """

    id: int
    text: Text | None
    label: str | int | float
    values: tuple[float, ...]
    similarity: float
    share: float


@dataclass(frozen=True)
class AnswerExplanation:
    """An answer and what it is made of: shares times values, the student's and the neighbours'.

    Attributes:
        label: the decision; of a regression the score.
        probabilities: the mixture; of a regression its one score.
        student_label, student: what the student says on its own.
        student_share: its weight in the answer; with those of the neighbours it sums to 1.
        neighbours: the nearest first; none where the knowledge base was not searched.
    """

    label: str | int | float
    probabilities: tuple[float, ...]
    student_label: str | int | float
    student: tuple[float, ...]
    student_share: float
    neighbours: tuple[Neighbour, ...]


def label_of(values: NDArray[Any], names: tuple[str, ...]) -> str | int | float:
    """The label that values [C] say: the name or id of the likeliest class, or the score."""
    if len(values) == 1:
        return float(values[0])
    likeliest = int(np.argmax(values))
    return names[likeliest] if names else likeliest


def floats(values: NDArray[Any]) -> tuple[float, ...]:
    """Values [C] as Python's numbers."""
    return tuple(map(float, values))
