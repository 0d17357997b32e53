"""The quiz of MetaDistil: rows that are set aside, and the loss of a pilot student on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from baselines.hypergradient import Weights
from reaugkd.batch import Batch
from reaugkd.errors import UserError
from reaugkd.losses import hard_label

if TYPE_CHECKING:
    from torch import Tensor

    from reaugkd.models.learner import Learner


def quiz_rows(labels: NDArray[Any], share: float, seed: int) -> NDArray[np.int64]:
    """Rows that are kept for the quiz, ascending; of each class the same share, rounded.

    Floating scores are not stratified. A UserError tells that no row is left for the quiz.
    """
    generator, parts = np.random.default_rng(seed), []
    strata = np.zeros(len(labels)) if labels.dtype.kind == "f" else labels
    for stratum in np.unique(strata):
        rows = generator.permutation(np.flatnonzero(strata == stratum))
        parts.append(rows[: round(share * len(rows))])
    chosen = np.sort(np.concatenate(parts)).astype(np.int64)
    if not len(chosen):
        raise UserError(
            f"metadistil: a share of {share} of {len(labels)} rows leaves no row for the quiz; "
            "raise metadistil.quiz_share"
        )
    return chosen


def take_quiz(
    student: Learner, weights: Weights, batches: list[Batch]
) -> tuple[Tensor, list[Tensor]]:
    """The true-label loss of the student with other ``weights``, without dropout, and its gradient.

    The student lends its module and counts the work; the loss is the mean over all examples, the
    gradient one for each of ``weights``.
    """
    import torch
    from torch.func import functional_call

    examples = sum(len(batch.labels) for batch in batches)
    total = torch.zeros((), device=batches[0].labels.device)
    ascent: list[Tensor] = []
    student.plain.eval()
    try:
        for batch in batches:
            inputs = batch.read_by(student.reads)
            with student.precision:
                output = functional_call(student.plain, dict(weights), (), inputs)
            loss = hard_label(output.logits, batch.labels) * (len(batch.labels) / examples)
            gradients = torch.autograd.grad(loss, list(weights.values()))
            total = total + loss.detach()
            ascent = [a + g for a, g in zip(ascent, gradients, strict=bool(ascent))] or list(
                gradients
            )
            student.forwards += len(batch.labels)
            student.backwards += len(batch.labels)
    finally:
        student.plain.train()
    return total, ascent
