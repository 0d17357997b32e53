"""How token vectors become one vector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from reaugkd.losses import precise

if TYPE_CHECKING:
    from torch import Tensor

Pooling = Literal["cls", "pooler", "mean"]


def pool(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """Mean of the token vectors that are not padding, [B, L, H] -> [B, H], in float32 at least."""
    tokens = precise(hidden)
    weights = attention_mask.unsqueeze(-1).to(tokens.dtype)
    return (tokens * weights).sum(dim=1) / weights.sum(dim=1).clamp_min(1)
