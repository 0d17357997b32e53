"""MetaDistil's quiz after a pilot step, and its exact gradient in the teacher's logits.

No graph runs through student and teacher at once. With theta' = theta - lambda grad L_S(theta; z_t)
and the quiz loss q(theta'),

    dq/dz_t = -lambda  d/dz_t < dL_S/dz_s , J v >,    v = grad q(theta'),    J = dz_s/dtheta,

which is a closed form in the logits once J v is known; the teacher then needs one ordinary backward
pass. The form is ours; tests compare it with double backward through everything. J v costs no
forward pass: J^T u, which the pilot step computes, is linear in u, and its derivative is J.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reaugkd.batch import Batch, LossTerms
from reaugkd.errors import UserError
from reaugkd.losses import hard_label, kd_terms, precise, soft_label
from reaugkd.settings import KDSettings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from reaugkd.models.learner import Learner

SoftForm = Literal["kl", "softmax-mse", "logit-mse"]
Weights = Mapping[str, "Tensor"]
Quiz = Callable[[Weights], tuple["Tensor", list["Tensor"]]]


def soft_term(z_s: Tensor, z_t: Tensor, temperature: float, kind: SoftForm) -> Tensor:
    """How far the student's logits [B, C] are from the teacher's, which are a constant.

    ``kl`` is T^2 KL(p_t || p_s), mean over the batch; ``softmax-mse`` is T^2 times the mean over
    B C of the squared difference of the softmaxes and ``logit-mse`` that of the logits (no T),
    both as in the official code (verified).

    >>> import torch
    >>> z_t = torch.tensor([[2.0, 0.0]])
    >>> round(soft_term(torch.zeros_like(z_t), z_t, 5.0, "logit-mse").item(), 6)
    2.0
    """
    from torch.nn import functional as F

    if kind == "kl":
        return soft_label(z_s, z_t, temperature)
    student, teacher = precise(z_s), precise(z_t).detach()
    if kind == "logit-mse":
        return F.mse_loss(student, teacher)
    p_s, p_t = ((z / temperature).softmax(dim=1) for z in (student, teacher))
    return temperature**2 * F.mse_loss(p_s, p_t)


def response(
    direction: Tensor, z_s: Tensor, z_t: Tensor, temperature: float, kind: SoftForm
) -> Tensor:
    """-d/dz_t of the inner product of ``direction`` with the soft term's gradient in z_s, [B, C].

    With A(p) = diag(p) - p p^T it is A(p_t) direction / B for ``kl``, 2 A(p_t) A(p_s) direction /
    (B C) for ``softmax-mse`` and 2 direction / (B C) for ``logit-mse``; the factor T^2 cancels.
    """
    direction, rows = precise(direction), len(z_t)
    if kind == "logit-mse":
        return 2 * direction / direction.numel()
    p_s, p_t = ((precise(z).detach() / temperature).softmax(dim=1) for z in (z_s, z_t))
    if kind == "kl":
        return _softmax_jacobian(p_t, direction) / rows
    return 2 * _softmax_jacobian(p_t, _softmax_jacobian(p_s, direction)) / direction.numel()


def _softmax_jacobian(p: Tensor, x: Tensor) -> Tensor:
    """(diag(p) - p p^T) x, row by row, [B, C]."""
    return p * (x - (p * x).sum(dim=1, keepdim=True))


class Objective(NamedTuple):
    """What the student minimises, in the pilot step as in the real one."""

    settings: KDSettings
    kind: SoftForm = "kl"

    def terms(self, z_s: Tensor, z_t: Tensor, labels: Tensor) -> LossTerms:
        """``soft`` and ``hard`` of logits [B, C] and labels [B]."""
        return kd_terms(z_s, z_t, labels, self.settings, partial(soft_term, kind=self.kind))


def hypergradient(
    student: nn.Module,
    z_s: Tensor,
    z_t: Tensor,
    labels: Tensor,
    *,
    objective: Objective,
    rate: float,
    quiz: Quiz,
) -> tuple[Tensor, Tensor]:
    """The quiz loss after a pilot step of plain SGD, and its exact gradient in z_t, [B, C].

    ``student`` made ``z_s`` [B, C], whose graph can be differentiated twice and stays usable for
    one more backward pass; it is not touched: the pilot's weights are tensors of their own.
    ``rate`` is lambda; ``quiz`` maps the pilot's weights by name to its loss and its gradient for
    each of them.
    """
    import torch

    at = z_s.detach().requires_grad_()
    cotangent = torch.autograd.grad(objective.terms(at, z_t, labels).total, at)[0]
    cotangent.requires_grad_()
    weights = {name: p for name, p in student.named_parameters() if p.requires_grad}
    gradients: tuple[Tensor | None, ...] = torch.autograd.grad(
        z_s, list(weights.values()), cotangent, create_graph=True, allow_unused=True
    )
    reached = {n: g for n, g in zip(weights, gradients, strict=True) if g is not None}
    pilot = {
        name: torch.sub(weights[name].detach(), gradient.detach(), alpha=rate).requires_grad_()
        for name, gradient in reached.items()
    }
    loss, ascent = quiz(pilot)
    direction = torch.autograd.grad(list(reached.values()), cotangent, ascent)[0]
    answer = response(direction, z_s, z_t, objective.settings.temperature, objective.kind)
    return loss, rate * objective.settings.soft_weight * answer


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
