"""Relational knowledge distillation, RKD (Park, Kim, Lu and Cho, CVPR 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from reaugkd.batch import Batch, LossTerms, SignalBatch
from reaugkd.distiller import Conditions, Distiller, KDSettings, MethodSettings, Signal
from reaugkd.losses import kd_terms, precise
from reaugkd.settings import Temperature, Weight

if TYPE_CHECKING:
    from torch import Tensor

    from reaugkd.models.encoder import EncoderOutput

SMALLEST = 1e-12  # squared distances below this count as this; the official code's value (verified)


def differences(embeddings: Tensor) -> tuple[Tensor, Tensor]:
    """All differences of a batch, [N, N, H] with e_j - e_i at (i, j), and their squared lengths.

    Formed directly: |a|^2 + |b|^2 - 2 a.b, as in the official code, loses the digits that tell near
    neighbours apart. Costs N^2 H numbers, 3 MB for 32 vectors of 768.
    """
    e = precise(embeddings)
    difference = e[None, :, :] - e[:, None, :]
    return difference, difference.square().sum(dim=2)


def distance_potential(embeddings: Tensor) -> Tensor:
    """psi_D: all distances of a batch of N >= 2, [N, N], divided by their mean over different ones.

    The mean carries gradient, so psi_D does not depend on the scale of the embeddings. As in the
    official code (verified) two identical embeddings are 1e-6 apart and count in the mean; the
    square root has no gradient there, instead of an infinite one.

    >>> import torch
    >>> line = torch.tensor([[0.0], [1.0], [3.0]])
    >>> distance_potential(line)[0].tolist()
    [0.0, 0.5, 1.5]
    """
    from torch import eye

    _, squared = differences(embeddings)
    count = len(squared)
    itself = eye(count, device=squared.device).bool()
    distance = squared.clamp_min(SMALLEST).sqrt().masked_fill(itself, 0.0)
    return distance / (distance.sum() / (count * (count - 1)))


def angle_potential(embeddings: Tensor) -> Tensor:
    """psi_A: the cosine of the angle of j and k, seen from i, for all triplets i, j, k: [N, N, N].

    0 where j or k coincides with i, without gradient (the official code's normalisation gives 0
    there too, but with a gradient of up to 1e12 where two different examples coincide).

    >>> import torch
    >>> corner = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    >>> angle_potential(corner)[0, 1].tolist()
    [0.0, 1.0, 0.0]
    """
    difference, squared = differences(embeddings)
    length = squared.clamp_min(SMALLEST).sqrt()[:, :, None]
    same = (squared < SMALLEST)[:, :, None]
    direction = (difference / length).masked_fill(same, 0.0)
    return direction @ direction.transpose(1, 2)


def huber(student: Tensor, teacher: Tensor) -> Tensor:
    """The mean Huber loss (delta 1) of the difference of two potentials."""
    from torch.nn import functional as F

    return F.smooth_l1_loss(student, teacher.to(student.dtype))


def distance_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """L_D: Huber (delta 1) of the difference of psi_D, mean over all N^2 ordered pairs.

    The diagonal, which is 0 on both sides, counts in the mean (official code, verified); a mean
    over different examples only would be N / (N - 1) times as large. The teacher's embeddings are
    a constant; the widths may differ. 0 for one example (no pair) and for two (their distance is
    its own mean).

    >>> import torch
    >>> triangle = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, 0.75**0.5]])
    >>> distance_loss(triangle, torch.tensor([[0.0], [1.0], [3.0]])).item()  # 0.5 / 9
    0.05555...
    """
    if len(student) < 2:
        return precise(student).sum() * 0.0
    return huber(distance_potential(student), distance_potential(teacher.detach()))


def angle_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """L_A: Huber (delta 1) of the difference of psi_A, mean over all N^3 triplets.

    Triplets with j = i or k = i, 0 on both sides, count in the mean (official code, verified). 0
    for fewer than three examples (no angle).

    >>> import torch
    >>> triangle = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, 0.75**0.5]])
    >>> angle_loss(triangle, torch.tensor([[0.0], [1.0], [3.0]])).item()  # 2.5 / 27
    0.09259...
    """
    if len(student) < 3:
        return precise(student).sum() * 0.0
    return huber(angle_potential(student), angle_potential(teacher.detach()))


class RKDSettings(KDSettings):
    """The true labels, optionally soft labels, and the two relations."""

    temperature: Temperature = Field(
        2.0, description="T of the soft labels, if they are used. Source: as kd"
    )
    soft_weight: Weight = Field(
        0.0,
        description="weight of T^2 KL(teacher || student). Source: ours; soft labels are an option "
        "of RKD",
    )
    hard_weight: Weight = Field(
        1.0, description="weight of the true-label loss. Source: RKD is added to it"
    )
    distance_weight: Weight = Field(
        25.0,
        description="weight of L_D. Source: RepDistiller 25 for classification; official metric "
        "learning 1; a transformer run of AutoGluon 0.1",
    )
    angle_weight: Weight = Field(
        50.0,
        description="weight of L_A. Source: RepDistiller 50 for classification; official metric "
        "learning 2; a transformer run of AutoGluon 0.2",
    )


class RKD(Distiller):
    """CE + distance_weight L_D + angle_weight L_A (+ soft labels), the teacher cached.

    The embedding is the vector that the head classifies, neither projected nor normalised. Default
    weights are RepDistiller's (verified), the only classification setting that is known.
    """

    name: ClassVar[str] = "rkd"
    needs: ClassVar[frozenset[Signal]] = frozenset({Signal.LOGITS, Signal.EMBEDDING})
    Settings: ClassVar[type[MethodSettings]] = RKDSettings

    def unsupported(self, conditions: Conditions) -> str | None:
        """Batches too small for a relation, whose loss would silently be 0."""
        settings: RKDSettings = self.settings
        if not settings.distance_weight and not settings.angle_weight:
            return None
        if conditions.batch_size < 3:
            return (
                f"rkd relates the examples of a forward batch, and in a batch of "
                f"{conditions.batch_size} distances and angles are constant: use a batch_size of "
                "at least 3 (accumulation does not widen it)"
            )
        return None

    def loss(self, student: EncoderOutput, signals: SignalBatch | None, batch: Batch) -> LossTerms:
        """Four terms: ``soft``, ``hard``, ``distance`` and ``angle``."""
        if signals is None or signals.embedding is None:
            raise ValueError("rkd needs the teacher's logits and embeddings")
        settings: RKDSettings = self.settings
        distance = distance_loss(student.embedding, signals.embedding)
        angle = angle_loss(student.embedding, signals.embedding)
        return kd_terms(student.logits, signals.logits, batch.labels, settings).plus(
            distance=(settings.distance_weight, distance), angle=(settings.angle_weight, angle)
        )
