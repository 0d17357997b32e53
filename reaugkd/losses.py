"""Losses as pure functions of tensors.

Conventions, everywhere in this project: every softmax and logarithm is taken in at least float32
(also under autocast), every loss is the mean over the batch ("batchmean"), a soft-label term
carries the factor T^2, and what comes from the teacher is a constant unless a docstring says
otherwise. Official code bases differ in all of these; see docs/methods.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from reaugkd.batch import LossTerms
from reaugkd.settings import KDSettings

if TYPE_CHECKING:
    from torch import Tensor

SoftLoss = Callable[["Tensor", "Tensor", float], "Tensor"]
SoftTerm = Literal["batchmean", "official"]


def precise(x: Tensor) -> Tensor:
    """``x`` in float32, or in float64 if it is float64 already."""
    return x if x.itemsize == 8 else x.float()  # no need of torch to name its types


def hard_label(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean loss on the true labels: cross-entropy, or squared error for one output.

    ``logits`` are [B, C] (C = 1 means regression), ``labels`` [B] int64 class ids or scores.
    """
    from torch.nn import functional as F

    if logits.shape[1] == 1:
        scores = precise(logits)[:, 0]
        return F.mse_loss(scores, labels.to(scores.dtype))
    return F.cross_entropy(precise(logits), labels)


def soft_label(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """The canonical distillation term, T^2 KL(p_teacher || p_student) (Hinton et al., 2015).

    For regression (one output) a softmax is constant and this term would silently be zero, so the
    squared error of the scores is used: T^2 MSE(z_s / T, z_t / T), which is MSE(z_s, z_t). Both
    logits are [B, C], the teacher's are a constant.

    >>> import torch
    >>> z_t = torch.tensor([[2.0, 0.0]], dtype=torch.float64)
    >>> soft_label(torch.zeros_like(z_t), z_t, 1.0).item()  # ln 2 - H(sigmoid(2))
    0.3278133...
    """
    from torch.nn import functional as F

    teacher, student = precise(teacher_logits).detach(), precise(student_logits)
    if student.shape[1] == 1:
        return F.mse_loss(student, teacher.to(student.dtype))
    log_student = F.log_softmax(student / temperature, dim=1)
    log_teacher = F.log_softmax(teacher / temperature, dim=1)
    kl = F.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)
    return temperature**2 * kl


def per_class(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """:func:`soft_label` divided by C, as official code has it by ``KLDivLoss``'s ``"mean"``."""
    return soft_label(student_logits, teacher_logits, temperature) / student_logits.shape[1]


SOFT_TERMS: dict[SoftTerm, SoftLoss] = {"batchmean": soft_label, "official": per_class}
"""The forms of the soft-label term that methods offer as ``soft_term``."""


def kd_terms(
    student: Tensor,
    teacher: Tensor,
    labels: Tensor,
    settings: KDSettings,
    soft: SoftLoss = soft_label,
) -> LossTerms:
    """The terms ``soft`` and ``hard`` of distillation, of logits [B, C] and labels [B]."""
    return LossTerms(
        {"soft": soft(student, teacher, settings.temperature), "hard": hard_label(student, labels)},
        {"soft": settings.soft_weight, "hard": settings.hard_weight},
    )


def relational_log_probabilities(
    anchors: Tensor, keys: Tensor, tau: float, self_term: bool
) -> Tensor:
    """Log-softmax over the batch of the cosine of each anchor with each key, both [N, d].

    Row i of the result [N, N] belongs to anchor i; without ``self_term`` the diagonal is -inf.
    """
    import torch
    from torch.nn import functional as F

    similarity = F.normalize(precise(anchors), dim=1) @ F.normalize(precise(keys), dim=1).T
    scores = similarity / tau
    if not self_term:
        scores = scores.masked_fill(
            torch.eye(len(scores), dtype=torch.bool, device=scores.device), -torch.inf
        )
    return F.log_softmax(scores, dim=1)


def relational_kl(
    student: Tensor, teacher: Tensor, tau: float, *, self_term: bool = True
) -> Tensor:
    """ReAugKD's alignment of the student's embedding space with the teacher's.

    mean_i KL(q_i || qbar_i) with q_ij = softmax_j(z_i.z_j / tau) among the teacher's projected
    embeddings and qbar_ij = softmax_j(x_i.z_j / tau) of the STUDENT anchor against TEACHER keys
    (Zhang et al., 2023; the direction of the KL is recalled, not verified). Only x gets gradient.

    Args:
        student: x, [N, d].
        teacher: z, [N, d], taken as a constant.
        tau: temperature > 0.
        self_term: include j = i in both distributions. Without it a batch of two gives 0.

    A batch of one gives 0: there is nothing to relate to.

    >>> import torch
    >>> z = torch.eye(2, dtype=torch.float64)
    >>> relational_kl(z.flip(0), z, tau=1.0).item()  # tanh(1/2)
    0.4621171...
    """
    import torch

    if len(student) < 2:
        return precise(student).sum() * 0.0
    keys = teacher.detach()
    target = relational_log_probabilities(keys, keys, tau, self_term)
    mine = relational_log_probabilities(student, keys, tau, self_term)
    terms = target.exp() * (target - mine)
    if not self_term:
        # 0 * (-inf - -inf) on the diagonal is 0 by the convention 0 log 0 = 0.
        terms = terms.masked_fill(torch.eye(len(terms), dtype=torch.bool, device=terms.device), 0.0)
    return terms.sum(dim=1).mean()


def supervised_contrastive(embeddings: Tensor, positives: Tensor, tau: float) -> Tensor:
    """Supervised contrastive loss, L_out of Khosla et al. (2020), with weighted positives.

    -mean_i sum_{p != i} w_ip log( exp(z_i.z_p / tau) / sum_{a != i} exp(z_i.z_a / tau) ), where
    w_ip = positives_ip / sum_{p != i} positives_ip. Anchors without positives contribute 0. With
    0/1 positives this is SupCon; :func:`same_class` and :func:`score_kernel` make the weights.
    ``embeddings`` [N, d] are normalised here; the diagonal of ``positives`` [N, N] is ignored.

    >>> import torch
    >>> z = torch.ones(4, 2, dtype=torch.float64)
    >>> same = same_class(torch.tensor([0, 0, 1, 1]))
    >>> supervised_contrastive(z, same, tau=1.0).item()  # ln 3
    1.0986122...
    """
    import torch

    log_p = relational_log_probabilities(embeddings, embeddings, tau, self_term=False)
    eye = torch.eye(len(log_p), dtype=torch.bool, device=log_p.device)
    weights = positives.to(log_p.dtype).masked_fill(eye, 0.0)
    totals = weights.sum(dim=1, keepdim=True)
    weights = weights / totals.clamp_min(torch.finfo(log_p.dtype).tiny)
    return -(weights * log_p.masked_fill(eye, 0.0)).sum(dim=1).mean()


def same_class(labels: Tensor) -> Tensor:
    """Positives of SupCon: 1 where two examples share the class, [N] -> [N, N]."""
    return (labels[:, None] == labels[None, :]).float()


def score_kernel(scores: Tensor, width: float) -> Tensor:
    """Positives for regression: exp(-|y_i - y_j| / width), [N] -> [N, N].

    As ``width`` -> 0 only equal scores remain, which is SupCon on the distinct scores.
    """
    return (-(scores[:, None] - scores[None, :]).abs() / width).exp()
