"""The student that is measured: random or trained weights, in the precision of the cell."""

from __future__ import annotations

from pathlib import Path

import torch

from bench.measure.job import FolderStudent, RandomStudent
from bench.records.measurement import Precision
from reaugkd.errors import MissingLibraryError, ModelError
from reaugkd.models.encoder import Encoder, random_backbone


def load(source: RandomStudent | FolderStudent, precision: Precision, outputs: int) -> Encoder:
    """An encoder in evaluation mode, converted to ``precision`` once.

    Args:
        source: where its weights come from.
        precision: of the forward.
        outputs: number of logits of a random student; a stored one must have as many.

    Raises:
        ModelError: naming the folder that holds no student, or another one than is needed.
        MissingLibraryError: for int8 without its library.
    """
    if source.kind == "random":
        encoder = _random(source, outputs)
    else:
        encoder = Encoder.from_pretrained(Path(source.path))
        if encoder.outputs != outputs:
            raise ModelError(
                f"student {source.path} has {encoder.outputs} outputs, the knowledge base {outputs}"
            )
    encoder = encoder.eval().requires_grad_(False)
    if precision == "bf16":
        _to_bf16(encoder)
    elif precision == "int8":
        _to_int8(encoder)
    return encoder


def _random(source: RandomStudent, outputs: int) -> Encoder:
    fields = {
        "hidden_size": source.width,
        "num_hidden_layers": source.layers,
        "num_attention_heads": source.heads,
        "intermediate_size": 4 * source.width,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Encoder(random_backbone(fields, source.vocabulary, seed=0), outputs)


def _to_bf16(encoder: Encoder) -> None:
    """Weights in bf16, converted once: autocast would convert them in every forward.

    The head stays as it is where pooling hands it float32.
    """
    encoder.backbone.to(torch.bfloat16)
    if encoder.pooling != "mean":
        encoder.head.to(torch.bfloat16)


def _to_int8(encoder: Encoder) -> None:
    """Linear layers of the backbone in int8, activations quantised as they come (dynamic)."""
    try:
        from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_
    except ImportError as error:
        raise MissingLibraryError("torchao", "int8") from error
    quantize_(encoder.backbone, Int8DynamicActivationInt8WeightConfig())
