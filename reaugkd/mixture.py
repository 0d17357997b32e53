"""An answer mixed with those of its nearest neighbours, as tensors that a loss can be taken of.

The mixture of serving, p = (1 - w) p_own + w sum_k w_k p_k with w_k = softmax(s / tau), is given as
logits log p: softmax(log p) is p, and softmax(log p / T) is p^(1/T), normalised. Scores (C = 1) are
mixed as they are. Everything is in at least float32, probabilities never leave their logarithms.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from reaugkd.losses import precise

if TYPE_CHECKING:
    from torch import Tensor


def too_few(setting: str, k: int, rows: int | None) -> str | None:
    """Why none of ``rows`` rows has ``k`` others, as ``setting`` wants, or None if each has.

    >>> too_few("knn-kd.k", 16, 10)
    'knn-kd.k is 16, but each of the 10 rows of fit has only 9 others'
    """
    if rows is None or k < rows:
        return None
    return f"{setting} is {k}, but each of the {rows} rows of fit has only {rows - 1} others"


def nearest_others(queries: Tensor, keys: Tensor, rows: Tensor, k: int) -> Tensor:
    """Ids [B, k] of the nearest keys of each query but the one of its own row, without gradient.

    Args:
        queries: [B, d], of any length.
        keys: [n, d] of unit length, n > k.
        rows: [B] int64, the key that is each query's own. It is left out by its number, so an equal
            key of another row can be found.
        k: neighbours; those of equal similarity at the edge come in no certain order.

    >>> import torch
    >>> line = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.6, 0.8]])
    >>> nearest_others(line, line, torch.arange(3), k=1)[:2].tolist()
    [[1], [0]]
    """
    import torch

    with torch.no_grad():
        products = precise(queries) @ keys.T
        products[torch.arange(len(rows), device=rows.device), rows] = -torch.inf
        return products.topk(k, dim=1).indices


def cosines(queries: Tensor, entries: Tensor) -> Tensor:
    """Cosines [B, k] of queries [B, d] with entries [B, k, d] of unit length."""
    from torch.nn import functional as F

    unit = F.normalize(precise(queries), dim=1)
    return (entries @ unit[:, :, None]).squeeze(2)


def mixed(
    logits: Tensor, similarities: Tensor, neighbours: Tensor, *, tau: float, weight: float
) -> Tensor:
    """Logits [B, C] of the mixture of an answer with its neighbours'.

    Args:
        logits: the answer's own, [B, C].
        similarities: [B, k], to the neighbours.
        neighbours: the neighbours' logits, [B, k, C].
        tau: temperature of the neighbours' weights.
        weight: of the neighbours, above 0; with 1 the answer's own is not looked at.

    Returns:
        log p, which needs no normalising; for C = 1 the mixed score.

    >>> import torch
    >>> own, soft = torch.tensor([[0.4, 0.6]]), torch.tensor([[[0.8, 0.2], [0.3, 0.7]]])
    >>> near = torch.tensor([[0.9, 0.1]])
    >>> mixed(own.log(), near, soft.log(), tau=1.0, weight=0.5).exp()
    tensor([[0.5225, 0.4775]])
    """
    import torch
    from torch.nn import functional as F

    shares = F.log_softmax(similarities / tau, dim=1)[:, :, None]
    if logits.shape[1] == 1:
        return (1.0 - weight) * precise(logits) + weight * (shares.exp() * neighbours).sum(dim=1)
    retrieved = torch.logsumexp(shares + F.log_softmax(neighbours, dim=2), dim=1)
    if weight == 1.0:
        return retrieved
    own = F.log_softmax(precise(logits), dim=1)
    return torch.logaddexp(own + math.log1p(-weight), retrieved + math.log(weight))
