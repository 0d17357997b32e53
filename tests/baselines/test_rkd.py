"""RKD: distances and angles within a batch, their invariances and their numerics."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from baselines.finetune import FineTune
from baselines.kd import KD
from baselines.rkd import (
    RKD,
    RKDSettings,
    angle_loss,
    distance_loss,
    distance_potential,
)
from reaugkd.distiller import Conditions, Distiller, KDSettings, Shape
from reaugkd.models.encoder import Encoder
from reaugkd.training.batches import Collator
from tests import tiny
from tests.baselines.cases import DistillerCase

Loss = Callable[[Tensor, Tensor], Tensor]
F64 = torch.float64
LINE = torch.tensor([[0.0], [1.0], [3.0]], dtype=F64)
TRIANGLE = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.5, 0.75**0.5]], dtype=F64)
BOTH = pytest.mark.parametrize("loss", [distance_loss, angle_loss])
seeds = st.integers(0, 2**31 - 1)


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


class TestRKD(DistillerCase):
    name = "rkd"


def test_oracles() -> None:
    found = distance_loss(TRIANGLE, LINE).item()
    assert found == pytest.approx(0.5 / 9, abs=1e-12)
    assert found == pytest.approx(0.0555555556, abs=1e-9)
    assert found * 3 / 2 == pytest.approx(0.0833333333, abs=1e-9)  # mean over different examples
    found = angle_loss(TRIANGLE, LINE).item()
    assert found == pytest.approx(2.5 / 27, abs=1e-12)
    assert found == pytest.approx(0.0925925926, abs=1e-9)


def huber(x: float) -> float:
    return x * x / 2 if abs(x) < 1 else abs(x) - 0.5


@given(seed=seeds, count=st.integers(3, 6))
def test_losses_equal_their_definitions(seed: int, count: int) -> None:
    """Written out in plain loops over pairs and triplets; far apart, so Huber is linear too."""
    student, teacher = normal(count, 3, seed=seed), normal(count, 4, seed=seed + 1)
    teacher[0] *= 20

    def psi_d(e: Tensor) -> list[float]:
        d = [(a - b).norm().item() for a, b in itertools.product(e, e)]
        mean = sum(d) / (count * (count - 1))
        return [x / mean for x in d]

    def psi_a(e: Tensor) -> list[float]:
        cosines = []
        for i, j, k in itertools.product(range(count), repeat=3):
            a, b = e[j] - e[i], e[k] - e[i]
            cosines.append(0.0 if i in (j, k) else (a @ b / (a.norm() * b.norm())).item())
        return cosines

    for loss, psi in ((distance_loss, psi_d), (angle_loss, psi_a)):
        pairs = zip(psi(student), psi(teacher), strict=True)
        values = [huber(a - b) for a, b in pairs]
        assert loss(student, teacher).item() == pytest.approx(sum(values) / len(values), abs=1e-10)


@given(
    seed=seeds,
    scale=st.floats(1e-2, 1e2),
    shift=st.floats(-10, 10),
    width=st.integers(1, 6),
    loss=st.sampled_from([distance_loss, angle_loss]),
)
def test_rotation_scale_shift_and_order_change_nothing(
    seed: int, scale: float, shift: float, width: int, loss: Loss
) -> None:
    student, teacher = normal(6, 4, seed=seed), normal(6, width, seed=seed + 1)
    rotation, _ = torch.linalg.qr(normal(4, 4, seed=seed + 2))
    moved = scale * student @ rotation + shift * normal(1, 4, seed=seed + 3)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    plain = loss(student, teacher).item()
    assert plain >= 0
    assert loss(moved, teacher).item() == pytest.approx(plain, abs=1e-9)
    assert loss(student[order], teacher[order]).item() == pytest.approx(plain, abs=1e-12)
    assert loss(moved, student).item() == pytest.approx(0, abs=1e-20)
    assert loss(student, moved).item() == pytest.approx(0, abs=1e-20)


@BOTH
def test_only_the_student_gets_gradient_and_it_is_right(loss: Loss) -> None:
    """Finite differences move mu too: a detached mu would not pass."""
    s, t = normal(4, 3, seed=0).requires_grad_(), normal(4, 5, seed=1).requires_grad_()
    loss(s, t).backward()
    assert s.grad is not None
    assert s.grad.abs().sum() > 0
    assert t.grad is None
    assert torch.autograd.gradcheck(lambda x: loss(x, t.detach()), (s,))


@BOTH
@pytest.mark.parametrize("count", [1, 2])
def test_batches_without_a_relation_give_zero_with_a_gradient(loss: Loss, count: int) -> None:
    s = normal(count, 3, seed=0).requires_grad_()
    value = loss(s, normal(count, 3, seed=1))
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-24)
    assert s.grad is not None
    assert torch.allclose(s.grad, torch.zeros_like(s), atol=1e-12)


@BOTH
@pytest.mark.parametrize("low", [torch.float32, torch.float64])
def test_duplicates_keep_loss_and_gradient_finite_and_small(loss: Loss, low: torch.dtype) -> None:
    """Two examples coincide for the student only, for the teacher only, for both."""
    apart, other = normal(5, 3, seed=0).to(low), normal(5, 4, seed=1).to(low)
    for twice, also in itertools.product([True, False], repeat=2):
        s, t = apart.clone(), other.clone()
        s[1] = s[0] if twice else s[1]
        t[1] = t[0] if also else t[1]
        s.requires_grad_()
        value = loss(s, t)
        value.backward()
        assert torch.isfinite(value)
        assert s.grad is not None
        assert torch.isfinite(s.grad).all()
        assert s.grad.abs().max() < 10


def test_identical_embeddings_count_in_the_mean_distance() -> None:
    """The official form: 1e-6 apart and positive, so six pairs make the mean, not four."""
    psi = distance_potential(torch.tensor([[0.0], [0.0], [1.0]], dtype=F64))
    assert psi[0, 2].item() == pytest.approx(6 / 4, abs=1e-5)
    assert psi[0, 1].item() == pytest.approx(1e-6 * 6 / 4, rel=1e-5)


@BOTH
def test_near_neighbours_far_from_the_origin_keep_their_digits(loss: Loss) -> None:
    """|a|^2 + |b|^2 - 2 a.b in fp32 would leave nothing of these distances."""
    s, t = normal(6, 8, seed=0), normal(6, 8, seed=1)
    # Powers of two, so that adding the offset rounds nothing away.
    s = (s * 64).round() / 64
    far = (s / 8 + 256).float()
    assert torch.equal(far.double() - 256, s / 8)
    assert loss(far, t.float()).item() == pytest.approx(loss(s, t).item(), rel=1e-5)


@BOTH
def test_half_precision_is_compared_in_float32(loss: Loss) -> None:
    s, t = normal(6, 768, seed=0), normal(6, 768, seed=1)
    low = loss((100 * s).half(), t)  # squares of this would overflow
    assert low.dtype == torch.float32
    assert low.item() == pytest.approx(loss(s, t).item(), rel=1e-2)


def test_without_relations_it_is_fine_tuning_or_kd_bit_for_bit(tmp_path: Path) -> None:
    context = tiny.context(tmp_path, seed=4)

    def student(method: Distiller, name: str) -> Encoder:
        return tiny.distilled(method, context, tmp_path / name)

    off = {"distance_weight": 0.0, "angle_weight": 0.0}
    fine_tuned = student(FineTune(), "finetune")
    assert tiny.same_weights(fine_tuned, student(RKD(RKDSettings(**off)), "off"))
    soft = {"temperature": 3.0, "soft_weight": 0.7, "hard_weight": 0.2}
    kd = student(KD(KDSettings(**soft)), "kd")
    assert tiny.same_weights(kd, student(RKD(RKDSettings(**off, **soft)), "soft"))
    for relation in off:
        other = RKD(RKDSettings(**{**off, relation: 1.0}))
        assert not tiny.same_weights(fine_tuned, student(other, relation))


@pytest.mark.parametrize("regression", [False, True])
def test_terms_are_those_of_the_embeddings(regression: bool, tmp_path: Path) -> None:
    context = tiny.context(tmp_path, regression=regression)
    batch = Collator(context.splits["fit"], 0)([7, 1, 30, 12])
    student = context.models.student(2).eval()(**batch.inputs)
    terms = RKD().loss(student, context.teacher.batch(batch), batch)
    target = torch.from_numpy(context.teacher.embedding[[7, 1, 30, 12]])
    expected = distance_loss(student.embedding, target), angle_loss(student.embedding, target)
    assert terms.values["distance"].item() == expected[0].item()
    assert terms.values["angle"].item() == expected[1].item()
    assert all(value.item() > 0 for value in terms.values.values())
    total = terms.values["hard"] + 25 * expected[0] + 50 * expected[1]
    assert terms.total.item() == pytest.approx(total.item(), rel=1e-6)


def test_signals_are_needed(tmp_path: Path) -> None:
    batch = Collator(tiny.rows(4), 0)([0, 1, 2])
    with pytest.raises(ValueError, match="logits and embeddings"):
        RKD().loss(tiny.encoder()(**batch.inputs), None, batch)


@pytest.mark.parametrize(
    ("values", "size", "refused"),
    [
        ({}, 1, True),
        ({}, 2, True),
        ({}, 3, False),
        ({"angle_weight": 0.0}, 2, True),
        ({"distance_weight": 0.0}, 2, True),
        ({"angle_weight": 0.0, "distance_weight": 0.0}, 1, False),
    ],
)
def test_batches_too_small_for_a_relation_are_refused(
    values: dict[str, Any], size: int, refused: bool
) -> None:
    method = RKD(RKDSettings(**values))
    conditions = Conditions(tiny.TASK, Shape(16, 2), Shape(24, 4), size, accumulation=16)
    reason = method.unsupported(conditions)
    assert (reason is not None) == refused
    assert reason is None or f"batch of {size}" in reason


def test_settings_that_teach_no_head_or_do_not_exist() -> None:
    with pytest.raises(ValidationError, match="nothing would be learned"):
        RKDSettings(hard_weight=0.0)
    with pytest.raises(ValidationError):
        RKDSettings.model_validate({"delta": 2.0})
    with pytest.raises(ValidationError):
        RKDSettings(distance_weight=-1.0)
