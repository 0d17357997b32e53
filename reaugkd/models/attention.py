"""The attention our encoders run with: whichever kernel is fast for what is being done.

Inference uses PyTorch's scaled-dot-product attention. Where gradients are wanted on a CPU the
product is written out: there the fused kernel has a slow bf16 backward, draws its dropout masks
slowly and cannot be differentiated twice. The choice is made per call, so one model serves both.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from reaugkd.models.dropout import dropout as fast_dropout

NAME = "reaugkd"


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention with the signature of transformers' attention functions.

    Args:
        module: the calling module; its mode decides the kernel.
        query, key, value: [B, heads, L, d].
        attention_mask: [B, 1, L, L] or broadcastable, boolean (True = attend), or None.
        scaling: factor of the scores, 1 / sqrt(d) by default.
        dropout: probability of dropping an attention weight.
        **kwargs: passed on to the fused kernel.

    Returns:
        ([B, L, heads, d], None): no attention weights are handed out.
    """
    learning = module.training or query.requires_grad
    causal = kwargs.get("is_causal")
    causal = getattr(module, "is_causal", True) if causal is None else causal  # as sdpa has it
    # Without a mask the fused kernel may leave out the future, and it knows of shared heads.
    plain = key.shape == query.shape and not (causal and attention_mask is None)
    if not (learning and plain and query.device.type == "cpu"):
        output, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return output, None
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = torch.matmul(query, key.transpose(2, 3)) * scale
    if attention_mask is not None:
        scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
    weights = fast_dropout(torch.softmax(scores, dim=-1), dropout, training=module.training)
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
