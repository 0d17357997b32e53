"""Fast dropout: exact in distribution, reproducible, and the same as torch's where it must be."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import nn

from reaugkd.models.dropout import (
    LEVELS,
    FastDropout,
    drop_level,
    dropout,
    scaled_mask,
    use_fast_dropout,
)


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5, 0.9])
def test_share_of_dropped_elements_is_binomial(p: float) -> None:
    torch.manual_seed(0)
    n = 1_000_003  # not a multiple of four
    dropped = int((scaled_mask(torch.Size([n]), p, torch.float32) == 0).sum())
    assert stats.binomtest(dropped, n, drop_level(p) / LEVELS).pvalue > 1e-4


def test_kept_elements_keep_the_expectation_exactly() -> None:
    mask = scaled_mask(torch.Size([1000]), 0.1, torch.float64)
    scale = mask.max().item()
    assert scale * (1 - drop_level(0.1) / LEVELS) == pytest.approx(1.0, abs=1e-15)
    assert set(mask.unique().tolist()) == {0.0, scale}


def test_neighbouring_draws_are_independent() -> None:
    torch.manual_seed(1)
    dropped = (scaled_mask(torch.Size([400_000]), 0.5, torch.float32) == 0).float()
    for lag in (1, 2, 3, 4):
        correlation = torch.corrcoef(torch.stack([dropped[:-lag], dropped[lag:]]))[0, 1]
        assert abs(correlation) < 0.008  # five standard errors


def test_generator_state_decides_the_mask() -> None:
    torch.manual_seed(7)
    state = torch.get_rng_state()
    first = scaled_mask(torch.Size([33]), 0.5, torch.float32)
    torch.set_rng_state(state)
    assert torch.equal(first, scaled_mask(torch.Size([33]), 0.5, torch.float32))


def test_gradient_goes_through_the_same_mask() -> None:
    x = torch.ones(1000, requires_grad=True)
    y = dropout(x, 0.3, training=True)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_evaluation_and_zero_probability_are_the_identity() -> None:
    x = torch.randn(5)
    assert dropout(x, 0.5, training=False) is x
    assert dropout(x, 0.0, training=True) is x
    assert FastDropout(0.5).eval()(x) is x


@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_impossible_probability_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\)"):
        FastDropout(p)


def test_replacement_keeps_rate_and_mode() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(0.2))).eval()
    use_fast_dropout(module)
    replaced = module[1][0]
    assert isinstance(replaced, FastDropout)
    assert replaced.p == 0.2
    assert not replaced.training
