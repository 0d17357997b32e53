"""A tiny random configuration of every class of encoder that the harness is tested with."""

from __future__ import annotations

from typing import Any

import torch

from reaugkd.models.encoder import Encoder, keep_layers, random_backbone
from reaugkd.models.layers import Layers
from tests import tiny

DEPTH = 4
DEBERTA = {"model_type": "deberta-v2", "relative_attention": True, "pos_att_type": ["c2p", "p2c"]}
CLASSES: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {"model_type": "roberta", "pad_token_id": 1},
    "xlm-roberta": {"model_type": "xlm-roberta", "pad_token_id": 1},
    "distilbert": {"model_type": "distilbert", "hidden_dim": 32},
    "electra": {"model_type": "electra", "embedding_size": 8},
    "deberta-v2": {**DEBERTA, "conv_kernel_size": 3, "conv_act": "gelu"},
    "deberta-v3": {
        **DEBERTA,
        "position_buckets": 8,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "position_biased_input": False,
    },
    "albert": {"model_type": "albert", "embedding_size": 8},
    "mpnet": {"model_type": "mpnet", "pad_token_id": 1},
    "modernbert": {"model_type": "modernbert", "local_attention": 4}
    | dict.fromkeys(("bos_token_id", "cls_token_id"), 2)
    | dict.fromkeys(("eos_token_id", "sep_token_id"), 3),
    "mobilebert": {"model_type": "mobilebert", "embedding_size": 8, "intra_bottleneck_size": 8},
    "nomic-bert": {"model_type": "nomic_bert"},
    "eurobert": {"model_type": "eurobert", "num_key_value_heads": 1},
}


def fields(name: str, **more: Any) -> dict[str, Any]:
    """The configuration of a class; its dropout is off."""
    still = {"dropout": 0.0, "attention_dropout": 0.0} if name == "distilbert" else tiny.STILL
    return tiny.config(**{"num_hidden_layers": DEPTH, **still, **CLASSES[name], **more})


def pad_id(name: str) -> int:
    return int(CLASSES[name].get("pad_token_id", 0))


def encoder(
    name: str, pooling: Any = "cls", layers: Layers | None = None, seed: int = 0, **more: Any
) -> Encoder:
    """An encoder of a class with random weights, whole or with some of its layers."""
    backbone = random_backbone(fields(name, **more), tiny.VOCABULARY, seed, pad_id(name))
    if layers is not None:
        keep_layers(backbone, layers)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Encoder(backbone, 2, pooling).eval()
