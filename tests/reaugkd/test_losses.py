"""The oracles and laws of methods.md sections 0, 1 and 10, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from reaugkd.losses import (
    hard_label,
    per_class,
    relational_kl,
    same_class,
    score_kernel,
    soft_label,
    supervised_contrastive,
)

F64 = torch.float64
Z_T = torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 3.0]], dtype=F64)
Z_S = torch.tensor([[1.0, 2.0, 3.0], [0.0, 1.0, 2.0]], dtype=F64)
seeds = st.integers(0, 2**31 - 1)


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("temperature", "expected"), [(1.0, 0.6636341355), (2.0, 0.8000480872), (10.0, 0.8389898051)]
)
def test_kd_oracles(temperature: float, expected: float) -> None:
    assert soft_label(Z_S, Z_T, temperature).item() == pytest.approx(expected, abs=1e-9)
    assert per_class(Z_S, Z_T, temperature).item() == pytest.approx(expected / 3, abs=1e-9)


@given(seed=seeds, shift=st.floats(-50, 50), temperature=st.floats(0.5, 20))
def test_kd_is_zero_for_shifted_logits_and_never_negative(
    seed: int, shift: float, temperature: float
) -> None:
    z_t = normal(4, 3, seed=seed)
    assert soft_label(z_t + shift, z_t, temperature).item() == pytest.approx(0, abs=1e-10)
    assert soft_label(normal(4, 3, seed=seed + 1), z_t, temperature).item() >= 0


def test_kd_gradient_is_t_times_the_difference_of_probabilities() -> None:
    z_s = Z_S.clone().requires_grad_()
    z_t = Z_T.clone().requires_grad_()
    soft_label(z_s, z_t, 2.0).backward()
    expected = 2.0 * (torch.softmax(Z_S / 2, 1) - torch.softmax(Z_T / 2, 1)) / 2
    assert torch.allclose(z_s.grad, expected)
    assert z_t.grad is None


def test_regression_distils_scores_not_a_constant_softmax() -> None:
    z_t, z_s = torch.tensor([[1.0], [3.0]]), torch.tensor([[0.0], [0.0]])
    assert soft_label(z_s, z_t, 4.0).item() == pytest.approx(5.0)
    assert hard_label(z_s, torch.tensor([1.0, 3.0])).item() == pytest.approx(5.0)


def test_softmax_is_taken_in_float32_under_bf16() -> None:
    low = soft_label(Z_S.bfloat16(), Z_T.bfloat16(), 1.0)
    assert low.dtype == torch.float32
    assert low.item() == pytest.approx(0.6636341355, abs=1e-6)


def test_relational_oracles() -> None:
    z = torch.eye(2, dtype=F64)
    assert relational_kl(z.flip(0), z, 1.0).item() == pytest.approx(math.tanh(0.5), abs=1e-12)
    assert relational_kl(z, z, 1.0).item() == 0.0
    z = torch.tensor([(1, 0), (1, 1), (0, 1), (-1, 0)], dtype=F64)
    x = torch.tensor([(0, 1), (1, 1), (1, 0), (-1, 0)], dtype=F64)
    assert relational_kl(x, z, 0.5).item() == pytest.approx(0.5210463547, abs=1e-9)
    without = relational_kl(x, z, 0.5, self_term=False).item()
    assert without == pytest.approx(0.2697788727, abs=1e-9)


@pytest.mark.parametrize(("size", "self_term"), [(1, True), (1, False), (2, False)])
def test_too_few_have_no_relation_and_no_nan(size: int, self_term: bool) -> None:
    x = normal(size, 5, seed=0).requires_grad_()
    loss = relational_kl(x, normal(size, 5, seed=1), 0.1, self_term=self_term)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.allclose(x.grad, torch.zeros_like(x), atol=1e-15)


@given(seed=seeds, self_term=st.booleans(), tau=st.sampled_from([0.05, 0.5, 1.0]))
def test_relation_laws(seed: int, self_term: bool, tau: float) -> None:
    x, z = normal(6, 4, seed=seed), normal(6, 4, seed=seed + 1)
    loss = relational_kl(x, z, tau, self_term=self_term).item()
    assert loss >= -1e-12
    rotation, _ = torch.linalg.qr(normal(4, 4, seed=seed + 2))
    rotated = relational_kl(x @ rotation, z @ rotation, tau, self_term=self_term).item()
    scaled = relational_kl(3.0 * x, 0.2 * z, tau, self_term=self_term).item()
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    permuted = relational_kl(x[order], z[order], tau, self_term=self_term).item()
    assert rotated == pytest.approx(loss, abs=1e-9)
    assert scaled == pytest.approx(loss, abs=1e-9)
    assert permuted == pytest.approx(loss, abs=1e-9)


def test_only_the_student_gets_gradient_from_the_relation() -> None:
    x, z = normal(4, 3, seed=0).requires_grad_(), normal(4, 3, seed=1).requires_grad_()
    relational_kl(x, z, 0.1).backward()
    assert x.grad.abs().sum() > 0
    assert z.grad is None
    assert torch.autograd.gradcheck(lambda a: relational_kl(a, z.detach(), 0.5), (x,))
    assert torch.autograd.gradcheck(
        lambda a: relational_kl(a, z.detach(), 0.5, self_term=False), (x,)
    )


def test_supcon_oracles() -> None:
    pairs = torch.tensor([(1, 0), (1, 0), (0, 1), (0, 1)], dtype=F64)
    same = same_class(torch.tensor([0, 0, 1, 1]))
    loss = supervised_contrastive(pairs, same, 1.0).item()
    assert loss == pytest.approx(math.log(math.e + 2) - 1, abs=1e-12)
    identical = torch.ones(4, 2, dtype=F64)
    assert supervised_contrastive(identical, same, 1.0).item() == pytest.approx(math.log(3))


def test_supcon_anchor_without_positive_contributes_zero() -> None:
    z = normal(4, 3, seed=0).requires_grad_()
    loss = supervised_contrastive(z, same_class(torch.tensor([0, 1, 2, 3])), 0.1)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.isfinite(z.grad).all()


@given(seed=seeds, tau=st.sampled_from([0.07, 1.0]))
def test_supcon_equals_its_definition(seed: int, tau: float) -> None:
    z = torch.nn.functional.normalize(normal(7, 3, seed=seed), dim=1)
    y = torch.randint(0, 3, (7,), generator=torch.Generator().manual_seed(seed))
    total = 0.0
    for i in range(7):
        others = [a for a in range(7) if a != i]
        positives = [p for p in others if y[p] == y[i]]
        below = math.log(sum(math.exp(z[i] @ z[a] / tau) for a in others))
        total -= sum((z[i] @ z[p]).item() / tau - below for p in positives) / max(len(positives), 1)
    found = supervised_contrastive(z, same_class(y), tau).item()
    assert found == pytest.approx(total / 7, abs=1e-9)


def test_narrow_score_kernel_is_supcon_on_equal_scores() -> None:
    z, y = normal(6, 3, seed=3), torch.tensor([0.0, 0.0, 1.0, 1.0, 5.0, 5.0])
    narrow = supervised_contrastive(z, score_kernel(y, 1e-3), 0.5)
    assert narrow.item() == pytest.approx(supervised_contrastive(z, same_class(y), 0.5).item())
