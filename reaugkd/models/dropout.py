"""Dropout whose masks are cheap to draw on a CPU.

On a CPU the drawing of Bernoulli masks dominates the training of a small encoder (more than half
of a bf16 forward pass). Here one 64-bit draw of torch's generator serves four elements. The
distribution is exact: the drop probability is rounded to a multiple of 2^-16 (0.1 becomes
0.1000061) and the kept elements are scaled by that same probability, so the expectation is
untouched. The state of torch's generator decides the masks, hence checkpoints resume exactly.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEVELS = 1 << 16


def drop_level(p: float) -> int:
    """Of the 2^16 equally likely 16-bit values, how many drop the element."""
    if not 0.0 <= p < 1.0:
        raise ValueError(f"dropout probability must be in [0, 1), not {p}")
    return round(p * LEVELS)


def scaled_mask(shape: torch.Size, p: float, dtype: torch.dtype) -> Tensor:
    """A CPU mask of 0 (with the rounded probability) and 1 / (1 - p)."""
    level, count = drop_level(p), math.prod(shape)
    draws = torch.empty((count + 3) // 4, dtype=torch.int64)
    draws.random_(-(2**63), None)  # all 64 bits uniform
    keep = draws.view(torch.int16)[:count].view(shape) >= level - LEVELS // 2
    return keep.to(dtype).mul_(LEVELS / (LEVELS - level))


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """Like ``torch.nn.functional.dropout``; on other devices than the CPU it is that function."""
    if not training or p == 0.0:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, p, training=True)
    return x * scaled_mask(x.shape, p, x.dtype)


class FastDropout(nn.Module):
    """Drop-in for ``nn.Dropout`` that draws its masks by :func:`scaled_mask` on a CPU."""

    def __init__(self, p: float) -> None:
        super().__init__()
        drop_level(p)
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Drop elements of ``x`` in training mode."""
        return dropout(x, self.p, self.training)


def use_fast_dropout(module: nn.Module) -> None:
    """Replace every ``nn.Dropout`` inside ``module`` (the mode is kept)."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Dropout:
                setattr(parent, name, FastDropout(child.p).train(child.training))
