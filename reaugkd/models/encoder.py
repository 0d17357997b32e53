"""Teacher and student: a BERT-like backbone of transformers, a pooling and a linear head."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel

from reaugkd.errors import ModelError
from reaugkd.losses import precise
from reaugkd.models import attention
from reaugkd.models.dropout import FastDropout, use_fast_dropout
from reaugkd.models.recipe import Pooling

HEAD_FILE = "head.safetensors"
ENCODER_FILE = "encoder.json"


class EncoderOutput(NamedTuple):
    """Logits [B, C] and the pooled embedding [B, H] they are computed from.

    ``hidden`` are D + 1 tensors [B, L, H], the embeddings' and each layer's output, if asked for.
    """

    logits: Tensor
    embedding: Tensor
    hidden: tuple[Tensor, ...] | None = None

    @property
    def states(self) -> Tensor:
        """The [CLS] vector of the embeddings and of every layer, [B, D + 1, H]."""
        if self.hidden is None:
            raise ValueError("the forward pass was not asked for hidden states (states=True)")
        return torch.stack([layer[:, 0] for layer in self.hidden], dim=1)


def pool(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """Mean of the token vectors that are not padding, [B, L, H] -> [B, H], in float32 at least."""
    tokens = precise(hidden)
    weights = attention_mask.unsqueeze(-1).to(tokens.dtype)
    return (tokens * weights).sum(dim=1) / weights.sum(dim=1).clamp_min(1)


class Encoder(nn.Module):
    """Backbone, pooling, dropout and a linear head.

    The embedding that retrieval uses is exactly the vector the head classifies: the last layer's
    [CLS], the backbone's own pooler output, or the mean over tokens that are not padding. The
    backbone is any BERT-like encoder (``last_hidden_state``, a list of layers); ``outputs`` is the
    number of logits, 1 for regression.
    """

    def __init__(self, backbone: PreTrainedModel, outputs: int, pooling: Pooling = "cls") -> None:
        super().__init__()
        if pooling == "pooler" and getattr(backbone, "pooler", None) is None:
            raise ModelError(
                f"{type(backbone).__name__} has no pooler: use pooling 'cls' or 'mean'"
            )
        if pooling != "pooler" and getattr(backbone, "pooler", None) is not None:
            backbone.pooler = None  # its weights would never learn and only travel along
        self.backbone = backbone
        self.pooling: Pooling = pooling
        # Not every architecture tells segments apart, whatever the tokenizer beside it makes.
        self._typed = "token_type_ids" in inspect.signature(backbone.forward).parameters
        config = backbone.config
        rate = getattr(config, "hidden_dropout_prob", getattr(config, "dropout", 0.0))
        self.dropout = FastDropout(float(rate))
        self.head = nn.Linear(config.hidden_size, outputs)
        nn.init.normal_(self.head.weight, std=getattr(config, "initializer_range", 0.02))
        nn.init.zeros_(self.head.bias)
        use_fast_dropout(self.backbone)
        self.backbone.set_attn_implementation(attention.NAME)

    @property
    def width(self) -> int:
        """H, the width of the embedding."""
        return int(self.backbone.config.hidden_size)

    @property
    def longest(self) -> int:
        """The most tokens the position embeddings can tell apart."""
        config = self.backbone.config
        positions = int(getattr(config, "max_position_embeddings", None) or 1 << 30)
        # RoBERTa and its kin number positions from the padding id on.
        shifted = hasattr(getattr(self.backbone, "embeddings", None), "padding_idx")
        return positions - (int(config.pad_token_id or 0) + 1 if shifted else 0)

    @property
    def outputs(self) -> int:
        """C, the number of logits."""
        return self.head.out_features

    @property
    def depth(self) -> int:
        """D, the number of layers."""
        return int(self.backbone.config.num_hidden_layers)

    def forward(
        self,
        input_ids: Tensor | None,
        attention_mask: Tensor,
        *,
        states: bool = False,
        **inputs: Tensor,
    ) -> EncoderOutput:
        """Encode a padded batch.

        Args:
            input_ids: [B, L] int64, or None where ``inputs_embeds`` is among the inputs.
            attention_mask: [B, L], 1 for tokens and 0 for padding.
            states: hand out all layers' hidden states as well.
            **inputs: further inputs of the backbone, e.g. ``token_type_ids`` [B, L], which are left
                out where it does not take them.
        """
        if not self._typed:
            inputs.pop("token_type_ids", None)
        options: dict[str, Any] = {"output_hidden_states": True} if states else {}
        result = self.backbone(
            input_ids=input_ids, attention_mask=attention_mask, **inputs, **options
        )
        if self.pooling == "cls":
            embedding = result.last_hidden_state[:, 0]
        elif self.pooling == "pooler":
            embedding = result.pooler_output
        else:
            embedding = pool(result.last_hidden_state, attention_mask)
        hidden = tuple(result.hidden_states) if states else None
        return EncoderOutput(self.head(self.dropout(embedding)), embedding, hidden)

    def save_pretrained(self, folder: Path) -> None:
        """Write backbone (transformers' own format), head and pooling below ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        self.backbone.save_pretrained(folder)
        save_file(
            {k: v.contiguous() for k, v in self.head.state_dict().items()}, folder / HEAD_FILE
        )
        facts = {"pooling": self.pooling, "outputs": self.outputs}
        (folder / ENCODER_FILE).write_text(json.dumps(facts), encoding="utf-8")

    @classmethod
    def from_pretrained(cls, folder: Path) -> Self:
        """Read what :meth:`save_pretrained` wrote; a ModelError names a folder that is damaged."""
        try:
            facts = json.loads((folder / ENCODER_FILE).read_text(encoding="utf-8"))
            pooling = facts["pooling"]
            encoder = cls(
                load_pretrained(str(folder), pooling == "pooler"), facts["outputs"], pooling
            )
            encoder.head.load_state_dict(load_file(folder / HEAD_FILE))
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise ModelError(f"cannot load an encoder from {folder}: {error}") from error
        return encoder.eval()


def load_pretrained(location: str, pooler: bool = True, revision: str = "main") -> PreTrainedModel:
    """The backbone of a hub name or folder in float32, with its pooler if it has and keeps one."""
    config = AutoConfig.from_pretrained(location, revision=revision)
    architecture = AutoModel._model_mapping[type(config)]
    has_pooler = "add_pooling_layer" in inspect.signature(architecture).parameters
    options = {"add_pooling_layer": False} if has_pooler and not pooler else {}
    return AutoModel.from_pretrained(location, revision=revision, dtype=torch.float32, **options)


def layers_of(backbone: PreTrainedModel) -> tuple[nn.Module, str]:
    """The module that owns the list of transformer layers, and the list's attribute name."""
    depth = backbone.config.num_hidden_layers
    for module in backbone.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == depth:
                return module, name
    raise ModelError(f"{type(backbone).__name__} has no list of {depth} layers to choose from")


def keep_layers(backbone: PreTrainedModel, layers: tuple[int, ...]) -> None:
    """Keep only the given layers (0-based, in the given order); embeddings stay."""
    owner, name = layers_of(backbone)
    stack = getattr(owner, name)
    wrong = [layer for layer in layers if not 0 <= layer < len(stack)]
    if wrong or not layers:
        raise ModelError(f"layers {list(layers)}: the checkpoint has layers 0 to {len(stack) - 1}")
    setattr(owner, name, nn.ModuleList(stack[layer] for layer in layers))
    backbone.config.num_hidden_layers = len(layers)


def random_backbone(
    fields: dict[str, Any], vocabulary: int, seed: int, pad_id: int = 0
) -> PreTrainedModel:
    """A backbone from a config with random weights.

    ``fields`` are those of a transformers config (``model_type`` is ``"bert"`` by default). The
    global generator is left as it was; the embedding of ``pad_id`` stays 0. A ModelError tells
    that the config is not valid.
    """
    settings = {"model_type": "bert", "pad_token_id": pad_id, **fields, "vocab_size": vocabulary}
    try:
        config: PretrainedConfig = AutoConfig.for_model(**settings)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return AutoModel.from_config(config)
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"not a valid model config {fields}: {error}") from error
