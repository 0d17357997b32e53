"""Teacher and student: an encoder of transformers, a pooling and a linear head."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedModel

from reaugkd.errors import ModelError
from reaugkd.losses import precise
from reaugkd.models import attention
from reaugkd.models.configuration import config_of, invalid, per_layer
from reaugkd.models.dropout import FastDropout, use_fast_dropout
from reaugkd.models.layers import Layers, numbers_of
from reaugkd.models.reading import reading
from reaugkd.models.recipe import Pooling

HEAD_FILE = "head.safetensors"
ENCODER_FILE = "encoder.json"
TOKEN_TYPES = "token_type_ids"
DROPOUTS = ("hidden_dropout_prob", "dropout", "classifier_dropout")
"""What configurations call the dropout before a head, the first that is there."""


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
    backbone is any encoder of text (``last_hidden_state``, layers); ``outputs`` is the number of
    logits, 1 for regression.
    """

    def __init__(self, backbone: PreTrainedModel, outputs: int, pooling: Pooling = "cls") -> None:
        super().__init__()
        config = backbone.config
        for name in ("hidden_size", "num_hidden_layers"):
            if not isinstance(getattr(config, name, None), int):
                raise ModelError(f"{type(backbone).__name__} is no encoder: it has no {name}")
        if pooling == "pooler" and getattr(backbone, "pooler", None) is None:
            raise ModelError(
                f"{type(backbone).__name__} has no pooler: use pooling 'cls' or 'mean'"
            )
        if pooling != "pooler" and getattr(backbone, "pooler", None) is not None:
            backbone.pooler = None  # its weights would never learn and only travel along
        self.backbone = backbone
        self.pooling: Pooling = pooling
        rates = (getattr(config, name, None) for name in DROPOUTS)
        self.dropout = FastDropout(float(next((rate for rate in rates if rate is not None), 0.0)))
        self.head = nn.Linear(config.hidden_size, outputs)
        nn.init.normal_(self.head.weight, std=getattr(config, "initializer_range", 0.02))
        nn.init.zeros_(self.head.bias)
        use_fast_dropout(self.backbone)
        if backbone._can_set_attn_implementation():  # others (MPNet, DeBERTa) write out their own
            self.backbone.set_attn_implementation(attention.NAME)
        if getattr(config, "trigram_input", False):
            # MobileBERT reads each token with its neighbours: padding must look like the end of the
            # text, or an answer would depend on the longest text of its batch.
            with torch.no_grad():
                backbone.get_input_embeddings().weight[config.pad_token_id].zero_()
        self._token_types = takes_token_types(backbone)

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
        first = getattr(getattr(self.backbone, "embeddings", None), "padding_idx", None)
        return positions - (0 if first is None else int(first) + 1)

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
        """Encode a padded batch; padding may stand on either side.

        Args:
            input_ids: [B, L] int64, or None where ``inputs_embeds`` is among the inputs.
            attention_mask: [B, L], 1 for tokens and 0 for padding.
            states: hand out all layers' hidden states as well.
            **inputs: further inputs of the backbone, e.g. ``token_type_ids`` [B, L], which is left
                out for a backbone that has no token types.
        """
        if not self._token_types:
            inputs.pop(TOKEN_TYPES, None)
        if input_ids is not None and not attention_mask[:, 0].all():
            inputs = {"input_ids": input_ids, "attention_mask": attention_mask, **inputs}
            inputs = padded_right(inputs, attention_mask)
            input_ids, attention_mask = inputs.pop("input_ids"), inputs.pop("attention_mask")
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
        hidden = tuple(getattr(result, "hidden_states", None) or ()) if states else None
        return EncoderOutput(self.head(self.dropout(embedding)), embedding, hidden)

    def save_pretrained(self, folder: Path) -> None:
        """Write backbone (transformers' own format), head and pooling below ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        # By the names of its class, which those of the file that it came from may not be.
        self.backbone.save_pretrained(folder, save_original_format=False)
        save_file(
            {k: v.contiguous() for k, v in self.head.state_dict().items()}, folder / HEAD_FILE
        )
        facts = {"pooling": self.pooling, "outputs": self.outputs}
        (folder / ENCODER_FILE).write_text(json.dumps(facts), encoding="utf-8")

    @classmethod
    def from_pretrained(cls, folder: Path) -> Self:
        """Read what :meth:`save_pretrained` wrote; a ModelError names a folder that is damaged."""
        with reading(f"an encoder from {folder}"):
            facts = json.loads((folder / ENCODER_FILE).read_text(encoding="utf-8"))
            pooling = facts["pooling"]
            backbone = load_pretrained(str(folder), pooling == "pooler", ours=True)
            encoder = cls(backbone, facts["outputs"], pooling)
            encoder.head.load_state_dict(load_file(folder / HEAD_FILE))
        return encoder.eval()


def takes_token_types(backbone: PreTrainedModel) -> bool:
    """Whether a backbone tells segments apart: DistilBERT or RoBERTa cannot, whatever is read."""
    named = TOKEN_TYPES in inspect.signature(backbone.forward).parameters
    return named and int(getattr(backbone.config, "type_vocab_size", 2)) > 1


def padded_right(inputs: dict[str, Tensor], attention_mask: Tensor) -> dict[str, Tensor]:
    """Inputs [B, L] with the padding of every row moved behind its tokens, which keep their order.

    Position embeddings count from the left, and [CLS] is looked for there.
    """
    order = (attention_mask == 0).to(torch.int8).argsort(dim=1, stable=True)
    return {name: tokens.gather(1, order) for name, tokens in inputs.items()}


def load_pretrained(
    location: str, pooler: bool = True, revision: str = "main", *, ours: bool = False
) -> PreTrainedModel:
    """The backbone of a hub name or folder in float32, with its pooler if it has and keeps one.

    Where every name in the file has one prefix too many (``module.``, ``_orig_mod.``, ``model.``:
    saved from a model that was wrapped), it is taken off.

    Raises:
        ModelError: if it lacks weights of its configuration, which would be random: all but those
            of a pooler, which few checkpoints carry. Where the files are ``ours``, which hold the
            backbone alone, every weight must be there and none beyond.
    """
    config = AutoConfig.from_pretrained(location, revision=revision)
    architecture = AutoModel._model_mapping[type(config)]
    options: dict[str, Any] = {"revision": revision, "dtype": torch.float32}
    if "add_pooling_layer" in inspect.signature(architecture).parameters:
        options["add_pooling_layer"] = pooler

    def load(**more: Any) -> tuple[PreTrainedModel, list[str], list[str]]:
        loaded, report = AutoModel.from_pretrained(
            location, output_loading_info=True, **options, **more
        )
        missing = (name for name in report["missing_keys"] if ours or not _of_pooler(name))
        return loaded, sorted(missing), sorted(report["unexpected_keys"])

    backbone, missing, beyond = load()
    if not ours and (prefix := _prefix(missing, beyond)):
        backbone, missing, beyond = load(key_mapping={f"^{re.escape(prefix)}": ""})
    if missing:
        raise ModelError(
            f"model '{location}' lacks {len(missing)} of the weights that its config asks for, "
            f"e.g. {missing[0]}" + (f"; among those that it has is {beyond[0]}" if beyond else "")
        )
    if ours and beyond:
        raise ModelError(
            f"model '{location}': {type(backbone).__name__} has no place for {beyond[0]}"
        )
    return backbone


def _of_pooler(name: str) -> bool:
    return "pooler" in name.split(".")


def _prefix(missing: list[str], beyond: list[str]) -> str:
    """What stands before all the names that are missing, in the file; empty if nothing does."""
    wrapped = (name for name in beyond if missing and name.endswith(f".{missing[0]}"))
    prefixes = (name.removesuffix(missing[0]) for name in wrapped)
    return next((p for p in prefixes if {p + name for name in missing} <= set(beyond)), "")


def layers_of(backbone: PreTrainedModel) -> tuple[nn.Module, str]:
    """The module that owns the list of transformer layers, and the list's attribute name."""
    depth = backbone.config.num_hidden_layers
    for module in backbone.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == depth:
                return module, name
    raise ModelError(f"{type(backbone).__name__} has no list of {depth} layers to choose from")


def keep_layers(backbone: PreTrainedModel, layers: Layers) -> None:
    """Keep only the given layers (0-based, in the given order); embeddings stay.

    What the configuration says layer by layer is kept for the same layers.

    Raises:
        ModelError: naming the layers that are there, or why they cannot be told apart.
    """
    config = backbone.config
    numbers = numbers_of(layers, config.num_hidden_layers)
    groups = getattr(config, "num_hidden_groups", None)
    if groups is None:
        owner, name = layers_of(backbone)
        stack = getattr(owner, name)
        setattr(owner, name, nn.ModuleList(stack[number] for number in numbers))
        for field, values in per_layer(config).items():
            setattr(config, field, [values[number] for number in numbers])
    elif groups > 1:
        raise ModelError(
            f"{type(backbone).__name__}: its {config.num_hidden_layers} layers share {groups} "
            "groups of weights, so layers cannot be chosen"
        )
    # With one group of weights (ALBERT) all layers are one: how many there are is all to choose.
    config.num_hidden_layers = len(numbers)


def random_backbone(
    fields: dict[str, Any], vocabulary: int, seed: int, pad_id: int = 0
) -> PreTrainedModel:
    """A backbone from a config with random weights.

    ``fields`` are those of a transformers config (``model_type`` is ``"bert"`` by default). The
    global generator is left as it was; the embedding of ``pad_id`` stays 0. A ModelError tells
    that the config is not valid.
    """
    config = config_of({"pad_token_id": pad_id, **fields}, vocab_size=vocabulary)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return AutoModel.from_config(config)
    except Exception as error:
        raise invalid(fields, error) from error
