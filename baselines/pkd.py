"""Patient knowledge distillation, PKD (Sun, Cheng, Gan and Liu, EMNLP 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from reaugkd.batch import Batch, LossTerms, SignalBatch
from reaugkd.context import Context
from reaugkd.distiller import Conditions, Distiller, KDSettings, MethodSettings, Signal
from reaugkd.losses import SOFT_TERMS, SoftTerm, kd_terms, precise
from reaugkd.settings import Weight

if TYPE_CHECKING:
    from torch import Tensor, nn

    from reaugkd.models.encoder import EncoderOutput

Layers = Literal["skip", "last"] | tuple[int, ...]
Reduction = Literal["mean", "sum"]


def teacher_layers(layers: Layers, teacher_depth: int, student_depth: int) -> tuple[int, ...]:
    """The teacher layers that student layers 1, ..., D_s - 1 are matched with, in this order.

    The last layer of both models is left out, the soft labels cover it. ``"skip"`` spreads the
    teacher's layers evenly, ``"last"`` takes those just below its last one; both as in the official
    code (verified for 12 -> 6 and 24 -> 6, skip for 12 -> 3 is recalled). Where D_s does not divide
    D_t, skip takes m D_t / D_s rounded, halves up (ours). Listed layers (1-based) stand.

    >>> teacher_layers("skip", 12, 6), teacher_layers("last", 12, 6)
    ((2, 4, 6, 8, 10), (7, 8, 9, 10, 11))
    """
    if isinstance(layers, tuple):
        return layers
    if layers == "last":
        return tuple(range(teacher_depth - student_depth + 1, teacher_depth))
    # In integers: round() of a float would send halves to the even neighbour.
    return tuple(
        (2 * m * teacher_depth + student_depth) // (2 * student_depth)
        for m in range(1, student_depth)
    )


def unmatched(layers: Layers, teacher_depth: int, student_depth: int) -> str | None:
    """Why :func:`teacher_layers` has no answer that fits these depths, or None if it has."""
    needed = student_depth - 1
    if not needed:
        return "pkd leaves out the last layer: a student of one layer has nothing to match, use kd"
    if not isinstance(layers, tuple):
        if teacher_depth >= student_depth:
            return None
        return (
            f"pkd.layers={layers} needs a teacher at least as deep as the student, but the teacher "
            f"has {teacher_depth} layers and the student {student_depth}"
        )
    if len(layers) != needed:
        return (
            f"pkd.layers lists {len(layers)} teacher layers, but the student has {needed} to match "
            "(all but its last)"
        )
    outside = [layer for layer in layers if not 1 <= layer < teacher_depth]
    if outside:
        return (
            f"pkd.layers {outside}: the teacher's layers to match are 1 to {teacher_depth - 1} "
            "(all but its last)"
        )
    return None


def patience(
    student: Tensor, teacher: Tensor, *, normalise: bool = True, reduction: Reduction = "mean"
) -> Tensor:
    """The patience loss: squared distance of the [CLS] vectors of matched layers, both [B, M, H].

    With u = h / ||h||_2 (or u = h) the sum form, recalled as the paper's and not verified, is
    mean_i sum_m ||u_s - u_t||^2. The official code takes the mean over layers and width as well,
    which is the sum form divided by M H (verified). The teacher's layers are constants. Normalised
    and summed, each layer adds 2 (1 - cosine) <= 4.

    >>> import torch
    >>> s, t = torch.tensor([[[3.0, 4.0]]]), torch.tensor([[[0.0, 2.0]]])
    >>> patience(s, t).item(), patience(s, t, reduction="sum").item()
    (0.2, 0.4)
    """
    from torch.nn import functional as F

    mine, target = precise(student), precise(teacher).detach()
    if normalise:
        mine, target = F.normalize(mine, dim=-1), F.normalize(target, dim=-1)
    squares = (mine - target).square()
    return squares.mean() if reduction == "mean" else squares.sum(dim=(1, 2)).mean()


class PKDSettings(KDSettings):
    """The KD term and the patience term."""

    patience_weight: Weight = Field(
        100.0,
        description="beta, weight of the patience loss; means another thing under another "
        "reduction. Source: official grid 10-1000, best on SST-2, MNLI, QNLI and QQP",
    )
    layers: Layers = Field(
        "skip",
        description="teacher layers: skip, last, or a list of 1-based layers. Source: skip is the "
        "better one in the official result files",
    )
    normalise: bool = Field(
        True,
        description="compare directions instead of raw vectors. Source: on in the paper's "
        "formula (third party), off by default in the official code and best off on MNLI, QNLI "
        "and QQP",
    )
    reduction: Reduction = Field(
        "mean",
        description="mean over batch, layers and width, or sum over layers and width (M H times "
        "larger). Source: mean is the official code's, all known weights belong to it",
    )
    soft_term: SoftTerm = Field(
        "batchmean",
        description="official divides the soft-label term by the number of classes. Source: "
        "batchmean is this project's convention, official the official code's",
    )
    projection: bool = Field(
        False,
        description="match widths by a trained linear map of the student's vectors; not part of "
        "PKD. Source: ours",
    )


class PKD(Distiller):
    """soft_weight T^2 KL + hard_weight CE + patience_weight * patience, the teacher cached.

    Departures from the official code, each verified there: ``soft_term``, losses in fp32, and
    shuffled training batches.
    """

    name: ClassVar[str] = "pkd"
    needs: ClassVar[frozenset[Signal]] = frozenset({Signal.LOGITS, Signal.STATES})
    Settings: ClassVar[type[MethodSettings]] = PKDSettings

    def __init__(self, settings: MethodSettings | None = None) -> None:
        super().__init__(settings)
        self._projection: nn.Linear | None = None

    def unsupported(self, conditions: Conditions) -> str | None:
        """No layers that could be matched, or widths that differ without a projection."""
        settings: PKDSettings = self.settings
        student, teacher = conditions.student, conditions.teacher
        if teacher is None:
            return "pkd needs a teacher"
        reason = unmatched(settings.layers, teacher.depth, student.depth)
        if reason is None and student.width != teacher.width and not settings.projection:
            return (
                f"pkd compares vectors of one width, but the teacher has {teacher.width} and the "
                f"student {student.width}: set pkd.projection=true for a trained linear map (not "
                "part of PKD)"
            )
        return reason

    def adapter(self, context: Context) -> nn.Module | None:
        """The linear map H_s -> H_t without bias, one for all layers, if ``projection`` wants it.

        It starts orthogonal: where H_t >= H_s, lengths and angles are at first what they were.
        """
        if not self.settings.projection:
            return None
        import torch
        from torch import nn

        widths = context.models.student_shape.width, context.models.teacher_shape.width
        with torch.random.fork_rng():
            torch.manual_seed(context.seed)
            self._projection = nn.Linear(*widths, bias=False)
            nn.init.orthogonal_(self._projection.weight)
        return self._projection

    def loss(self, student: EncoderOutput, signals: SignalBatch | None, batch: Batch) -> LossTerms:
        """Three terms: ``soft``, ``hard`` and ``patience``."""
        if signals is None or signals.states is None:
            raise ValueError("pkd needs the teacher's logits and its states of [CLS]")
        settings: PKDSettings = self.settings
        states = student.states
        # Index 0 is the embeddings' output, which is not matched; nor is the last layer.
        chosen = teacher_layers(settings.layers, signals.states.shape[1] - 1, states.shape[1] - 1)
        mine = states[:, 1:-1]
        if settings.projection:
            if self._projection is None:
                raise RuntimeError("pkd's projection has not been made: call PKD.adapter first")
            mine = self._projection(precise(mine))
        terms = kd_terms(
            student.logits, signals.logits, batch.labels, settings, SOFT_TERMS[settings.soft_term]
        )
        distance = patience(
            mine,
            signals.states[:, list(chosen)],
            normalise=settings.normalise,
            reduction=settings.reduction,
        )
        return terms.plus(patience=(settings.patience_weight, distance))
