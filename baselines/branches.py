"""Branches that end a teacher the student's way: a student's later layers on teacher features."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from reaugkd.errors import ModelError
from reaugkd.models.encoder import Encoder, keep_layers


def boundaries(depth: int, blocks: int) -> tuple[int, ...]:
    """After how many of ``depth`` layers each of ``blocks`` blocks but the last one ends.

    round(i depth / blocks) for i = 1 .. blocks - 1, a half to the even number. Strictly increasing
    and below ``depth``, so every block has a layer.

    >>> boundaries(12, 3), boundaries(6, 3), boundaries(4, 2)
    ((4, 8), (2, 4), (2,))
    """
    if not 2 <= blocks <= depth:
        raise ValueError(f"{depth} layers cannot be split into {blocks} blocks")
    return tuple(round(i * depth / blocks) for i in range(1, blocks))


EMBEDDINGS = ("embeddings", "embed_tokens")
BELOW_LAYERS = {
    "embeddings_project": nn.Identity(),  # ELECTRA with narrow embeddings
    "embedding_hidden_mapping_in": nn.Identity(),  # ALBERT
    "conv": None,  # DeBERTa-v2 mixes neighbours after its very first layer
}
"""What else a backbone does before its later layers, and what stands for it without the first."""


class FromEmbeddings(nn.Module):
    """Stands where a backbone computes embeddings: it returns the vectors that it is given.

    So the backbone itself prepares the attention mask and whatever else its layers want.
    """

    def forward(self, input_ids: Any = None, inputs_embeds: Any = None, *_: Any, **__: Any) -> Any:
        """``inputs_embeds``, unchanged."""
        return inputs_embeds


def tail(student: Encoder, first: int) -> Encoder:
    """A copy of ``student`` without its embeddings and its layers before ``first`` (0-based).

    It takes ``(None, attention_mask, inputs_embeds=hidden)``, where ``hidden`` [B, L, H_s] stands
    for the output of layer ``first`` in the count that begins at 1.
    """
    owned = (
        name for name in EMBEDDINGS if isinstance(getattr(student.backbone, name, None), nn.Module)
    )
    name = next(owned, None)
    if name is None:
        raise ModelError(f"{type(student.backbone).__name__} has no embeddings to leave out")
    rest = deepcopy(student)
    keep_layers(rest.backbone, tuple(range(first, student.depth)))
    setattr(rest.backbone, name, FromEmbeddings())
    for module in (rest.backbone, getattr(rest.backbone, "encoder", None)):
        for part, stand_in in BELOW_LAYERS.items():
            if getattr(module, part, None) is not None:
                setattr(module, part, stand_in)
    return rest


def transform(wide: int, narrow: int) -> nn.Module:
    """From the teacher's width to the student's: the identity, or a linear map from orthogonal.

    So a token's entries keep their variance: later layers expect the scale of a layer norm (ours).
    """
    if wide == narrow:
        return nn.Identity()
    linear = nn.Linear(wide, narrow)
    nn.init.orthogonal_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


class Branches(nn.Module):
    """From each block of a teacher but the last: a transform, then the student from there on.

    The fresh student is copied and left alone, ``width`` and ``depth`` are the teacher's, ``seed``
    is of the transforms; the global generator is left as it was.
    """

    def __init__(self, student: Encoder, width: int, depth: int, blocks: int, seed: int) -> None:
        super().__init__()
        self.taken = boundaries(depth, blocks)
        entered = boundaries(student.depth, blocks)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.transforms = nn.ModuleList(transform(width, student.width) for _ in entered)
        self.tails = nn.ModuleList(tail(student, first) for first in entered)

    def __len__(self) -> int:
        return len(self.taken)

    def forward(self, hidden: tuple[Tensor, ...], attention_mask: Tensor) -> Tensor:
        """The logits of all branches, [blocks - 1, B, C].

        ``hidden`` are the teacher's D_t + 1 tensors [B, L, H_t], not detached: the teacher learns
        from what the branches make of them. The mask [B, L] is 1 for tokens and 0 for padding.
        """
        ways = zip(self.taken, self.transforms, self.tails, strict=True)
        return torch.stack(
            [
                rest(None, attention_mask, inputs_embeds=adapt(hidden[layer])).logits
                for layer, adapt, rest in ways
            ]
        )
