"""How far two ways to run one classifier agree: torch and an ONNX file, fp32 and int8."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from reaugkd.errors import UserError
from reaugkd.retrieval.answering import Prediction

TENTH = 0.1
"""Of the standard deviation of scores: as far apart two of them count as the same."""


class Agreement(NamedTuple):
    """What two predictions of the same texts have in common.

    Attributes:
        rows: how many texts.
        same: share with the same class; of a regression with a score within a tenth of the
            standard deviation of the reference's.
        difference: the largest difference of a probability, or of a score.
    """

    rows: int
    same: float
    difference: float


def compare(reference: Prediction, other: Prediction) -> Agreement:
    """How far ``other`` agrees with ``reference``, the answers to the same texts in one order.

    Raises:
        UserError: if there are no texts, or not as many in both.
    """
    first, second = reference.probabilities, other.probabilities
    if first.shape != second.shape or not len(first):
        raise UserError(f"predictions of shapes {first.shape} and {second.shape} are not compared")
    differences = np.abs(first.astype(np.float64) - second)
    if first.shape[1] == 1:
        same = differences[:, 0] <= TENTH * first.std()
    else:
        same = first.argmax(axis=1) == second.argmax(axis=1)
    return Agreement(len(first), float(same.mean()), float(differences.max()))
