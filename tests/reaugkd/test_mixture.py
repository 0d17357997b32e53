"""The mixture as tensors: that of serving, differentiable, and never with the row itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from reaugkd.mixture import cosines, mixed, nearest_others, too_few
from reaugkd.retrieval import mixing

F64 = torch.float64
seeds = st.integers(0, 2**31 - 1)


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def units(*shape: int, seed: int) -> Tensor:
    return F.normalize(normal(*shape, seed=seed), dim=1)


def answered(queries: Tensor, logits: Tensor, base: Any, rows: Tensor, **settings: Any) -> Tensor:
    """Mixed logits of queries that are ``rows`` of the base, its keys and values."""
    keys, values = base
    ids = nearest_others(queries, keys, rows, settings.pop("k"))
    return mixed(logits, cosines(queries, keys[ids]), values[ids], **settings)


@given(seed=seeds, tau=st.floats(0.05, 5), weight=st.floats(0.01, 1), k=st.integers(1, 11))
def test_it_is_what_serving_computes(seed: int, tau: float, weight: float, k: int) -> None:
    keys, values, rows = units(12, 4, seed=seed), normal(12, 3, seed=seed + 1), torch.arange(5)
    queries, logits = normal(5, 4, seed=seed + 2), normal(5, 3, seed=seed + 3)
    found = answered(queries, logits, (keys, values), rows, k=k, tau=tau, weight=weight)
    similarity = (F.normalize(queries, dim=1) @ keys.T).numpy()
    similarity[rows, rows] = -np.inf
    ids = np.argsort(-similarity, axis=1)[:, :k]
    expected = mixing.augment(
        torch.softmax(logits, 1).numpy(),
        np.take_along_axis(similarity, ids, axis=1),
        ids,
        torch.softmax(values, 1).numpy(),
        tau,
        weight,
    )
    np.testing.assert_allclose(found.exp(), expected, atol=1e-12)
    assert torch.allclose(torch.logsumexp(found, 1), torch.zeros(5, dtype=F64), atol=1e-12)


def test_three_points_by_hand() -> None:
    """Of e_1 the others are at cosines 0.6 and 0: with tau 0.2 they weigh 1 / (1 + e^-3) and less.

    At T = 2 probabilities go in as their roots.
    """
    keys = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]], dtype=F64)
    soft = torch.tensor([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8]], dtype=F64)
    found = answered(
        keys[:1], soft[:1].log(), (keys, soft.log()), torch.tensor([0]), k=2, tau=0.2, weight=0.25
    )
    first = 1 / (1 + np.exp(-3.0))
    p = 0.75 * 0.9 + 0.25 * (first * 0.7 + (1 - first) * 0.2)
    assert found[0].exp().tolist() == pytest.approx([p, 1 - p], abs=1e-12)
    roots = np.sqrt([p, 1 - p])
    assert torch.softmax(found[0] / 2, 0).tolist() == pytest.approx(roots / roots.sum(), abs=1e-12)


def test_the_own_row_is_left_out_by_its_number() -> None:
    """An equal key of another row is found, and what the own row's value is does not matter."""
    keys, values = units(9, 4, seed=0), normal(9, 3, seed=1)
    keys[5] = keys[2]
    ids = nearest_others(keys, keys, torch.arange(9), 8)
    assert all(sorted([own, *row.tolist()]) == list(range(9)) for own, row in enumerate(ids))
    assert (ids[2, 0], ids[5, 0]) == (5, 2)
    asked = {"k": 3, "tau": 0.3, "weight": 1.0}
    before = answered(keys, values, (keys, values), torch.arange(9), **asked)
    values[2] = torch.tensor([100.0, -100.0, 0.0])
    after = answered(keys, values, (keys, values), torch.arange(9), **asked)
    assert torch.equal(before[2], after[2])
    assert not torch.equal(before[5], after[5])


def test_the_order_of_the_base_does_not_matter() -> None:
    keys, values, queries = units(20, 4, seed=0), normal(20, 3, seed=1), normal(6, 4, seed=2)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(3))
    rows, asked = torch.arange(6), {"k": 5, "tau": 0.2, "weight": 0.4}
    expected = answered(queries, queries[:, :3], (keys, values), rows, **asked)
    base, moved = (keys[order], values[order]), torch.argsort(order)[rows]
    assert torch.allclose(answered(queries, queries[:, :3], base, moved, **asked), expected)


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("weight", [0.3, 1.0])
def test_gradient_goes_through_the_cosines_and_the_answer(classes: int, weight: float) -> None:
    """As finite differences say; neighbours are nearest by a margin that the steps do not cross."""
    keys, values = units(10, 4, seed=5), normal(10, classes, seed=6)
    queries, logits = normal(3, 4, seed=7), normal(3, classes, seed=8)

    def answer(queries: Tensor, logits: Tensor) -> Tensor:
        return answered(
            queries, logits, (keys, values), torch.arange(3), k=4, tau=0.3, weight=weight
        )

    inputs = queries.requires_grad_(), logits.requires_grad_(weight < 1)
    assert torch.autograd.gradcheck(answer, inputs)
    answer(*inputs).sum().backward()
    assert queries.grad is not None
    if classes == 1:
        assert (queries.grad.abs().sum(dim=1) > 1e-3).all()


def test_certain_answers_stay_finite() -> None:
    """A class that nobody holds possible has a logarithm below what a float32 probability has."""
    sure = torch.tensor([[300.0, -300.0]], requires_grad=True)
    near = torch.tensor([[1.0, -1.0]], requires_grad=True)
    found = mixed(sure, near, sure.detach().expand(1, 2, 2), tau=0.001, weight=0.5)
    assert found.tolist() == [[0.0, -600.0]]
    found.sum().backward()
    for leaf in (sure, near):
        assert leaf.grad is not None
        assert torch.isfinite(leaf.grad).all()


def test_a_small_weight_is_nearly_none_and_scores_mix_as_they_are() -> None:
    logits, near, others = normal(4, 3, seed=0), normal(4, 2, seed=1), normal(4, 2, 3, seed=2)
    found = mixed(logits, near, others, tau=1.0, weight=1e-12)
    assert torch.allclose(found, F.log_softmax(logits, 1), atol=1e-9)
    scores = mixed(
        torch.tensor([[1.0]]),
        torch.zeros(1, 2),
        torch.tensor([[[3.0], [5.0]]]),
        tau=1.0,
        weight=0.25,
    )
    assert scores.item() == pytest.approx(0.75 * 1 + 0.25 * 4)


def test_bf16_is_mixed_in_float32() -> None:
    logits, near, others = normal(4, 3, seed=0), normal(4, 2, seed=1), normal(4, 2, 3, seed=2)
    low = mixed(logits.bfloat16(), near.float(), others.float(), tau=1.0, weight=0.5)
    assert low.dtype == torch.float32
    assert (
        cosines(
            normal(2, 4, seed=3).bfloat16(), units(6, 4, seed=4).float()[None].expand(2, 6, 4)
        ).dtype
        == torch.float32
    )


@pytest.mark.parametrize(("k", "rows", "enough"), [(3, 4, True), (4, 4, False), (9, None, True)])
def test_too_few_others(k: int, rows: int | None, enough: bool) -> None:
    assert (too_few("kd.k", k, rows) is None) == enough
