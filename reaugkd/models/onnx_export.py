"""A student written as an ONNX file for onnxruntime, in fp32 and in int8, and proven.

The trace is made by torch's TorchScript exporter (docs/decisions/0020). A trace knows one way
through the code only, so nothing is written before onnxruntime has given the encoder's own answers
for other batches and lengths than the traced ones.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from reaugkd.artifacts import sealed
from reaugkd.errors import ModelError, reason_of
from reaugkd.models import runtime as runtimes
from reaugkd.models.encoder import TOKEN_TYPES, Encoder, takes_token_types
from reaugkd.models.onnx_encoder import IDS, MASK, OUTPUTS, session
from reaugkd.models.runtime import FILES

OPSET = 17
"""Of ONNX: the oldest with LayerNormalization, which every onnxruntime since 1.12 reads."""

TRACED = (2, 5)
PROVEN = ((1, 1), (1, 4), (3, 16), (2, 40))
"""Batch and tokens of the traced inputs, and of those that the trace is compared on."""

TOLERANCE = 1e-4
"""Of logits and embeddings, relative to the largest of them, above 1."""


def export(encoder: Encoder, folder: Path, student: str, *, int8: bool = False) -> None:
    """Write ``model.onnx`` and, with ``int8``, ``model_quantized.onnx`` into ``folder``.

    Both take ``input_ids``, ``attention_mask`` and, where the student tells segments apart,
    ``token_type_ids``, [B, L] int64 padded on the right, and give ``logits`` [B, C] and
    ``embedding`` [B, H] in float32. Each has a manifest beside it with its checksum.

    Args:
        encoder: the student; it stays as it is.
        folder: where to; made if need be.
        student: fingerprint of the student, which readers compare.
        int8: also quantise the weights of products and embeddings to 8 bits, of activations as they
            come. Scales of activations are of a whole batch: answers depend a little on it.

    Raises:
        MissingLibraryError: without onnx or onnxruntime.
        ModelError: if the encoder cannot be traced, or the trace does not answer as it does.
        UserError: if a file cannot be written.
    """
    runtimes.require_exporter()
    still = deepcopy(encoder).eval().requires_grad_(False).to("cpu", torch.float32)
    name = type(still.backbone).__name__
    try:
        traced = trace(still)
        _prove(traced, still, TOLERANCE)
        contents = {"onnx": traced}
        if int8:
            contents["onnx-int8"] = quantised(traced)
            _prove(contents["onnx-int8"], still, None)
    except ModelError:
        raise
    except Exception as error:
        # Whatever an architecture does that ONNX has no word for: as many types as operations.
        raise ModelError(f"{name} cannot be exported to ONNX: {reason_of(error)}") from error
    facts = {"student": student, "outputs": still.outputs, "longest": still.longest}
    for runtime, content in contents.items():
        sealed.write(folder, FILES[runtime], facts, partial(_write, content))


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)


class _Positional(nn.Module):
    """The encoder with inputs by their place, as a trace wants them."""

    def __init__(self, encoder: Encoder, names: Sequence[str]) -> None:
        super().__init__()
        self.encoder, self.names = encoder, tuple(names)

    def forward(self, *values: Tensor) -> tuple[Tensor, Tensor]:
        output = self.encoder(**dict(zip(self.names, values, strict=True)))
        return output.logits, output.embedding


def trace(encoder: Encoder) -> bytes:
    """The content of an ONNX file for any batch and length; ``encoder`` stays with plain attention.

    Attention is written out: that is fewer operations than the fused one in ONNX's.
    """
    if encoder.backbone._can_set_attn_implementation():
        encoder.backbone.set_attn_implementation("eager")
    inputs = _inputs(encoder, *TRACED)
    sizes = {name: {0: "batch", 1: "length"} for name in inputs}
    with TemporaryDirectory(prefix="reaugkd-") as name, torch.no_grad(), _silence():
        path = Path(name, "traced")
        torch.onnx.export(
            _Positional(encoder, list(inputs)).eval(),
            tuple(inputs.values()),
            path,
            input_names=list(inputs),
            output_names=list(OUTPUTS),
            dynamic_axes=sizes | {name: {0: "batch"} for name in OUTPUTS},
            opset_version=OPSET,
            dynamo=False,
        )
        return path.read_bytes()


def quantised(model: bytes) -> bytes:
    """The content of an ONNX file with weights in int8, a scale per output of a product.

    They have 7 bits: products of 8 overflow on a CPU without VNNI, and answers would depend on it.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with TemporaryDirectory(prefix="reaugkd-") as name, _silence():
        traced, prepared, path = (Path(name, file) for file in ("fp32", "prepared", "int8"))
        traced.write_bytes(model)
        quant_pre_process(traced, prepared, skip_symbolic_shape=True)
        quantize_dynamic(
            prepared, path, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8
        )
        return path.read_bytes()


def _prove(model: bytes, encoder: Encoder, tolerance: float | None) -> None:
    """Raise :class:`ModelError` unless the file answers as ``encoder``, or (None) finitely."""
    run = session(model, 1)
    for batch, tokens in PROVEN:
        inputs = _inputs(encoder, batch, tokens)
        with torch.inference_mode():
            output = encoder(**inputs)
        given = {name: values.numpy() for name, values in inputs.items()}
        answers = map(torch.from_numpy, run.run(OUTPUTS, given))
        for name, answer, expected in zip(OUTPUTS, answers, output, strict=False):
            difference = (answer - expected).abs().max().item()
            allowed = (tolerance or torch.inf) * max(1.0, expected.abs().max().item())
            if not difference <= allowed:
                raise ModelError(
                    f"the ONNX file of {type(encoder.backbone).__name__} does not answer as torch: "
                    f"{name} of {batch} x {tokens} tokens differ by {difference:.2g}"
                )


def _inputs(encoder: Encoder, batch: int, tokens: int) -> dict[str, Tensor]:
    """Ids without meaning, the first row padded on the right."""
    config = encoder.backbone.config
    pad = int(getattr(config, "pad_token_id", None) or 0)
    length = min(tokens, encoder.longest)
    generator = torch.Generator().manual_seed(tokens)
    ids = torch.randint(int(config.vocab_size), (batch, length), generator=generator)
    mask = torch.ones_like(ids)
    if batch > 1:
        mask[0, length // 2 + 1 :] = 0
    inputs = {IDS: ids.masked_fill(mask == 0, pad), MASK: mask}
    if takes_token_types(encoder.backbone):
        segments = torch.arange(length).expand(batch, length) > length // 2
        inputs[TOKEN_TYPES] = segments.long() * mask
    return inputs


@contextmanager
def _silence() -> Iterator[None]:
    """Without what exporter and quantiser say of every trace: it is proven, not trusted."""
    level = logging.root.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.root.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logging.root.setLevel(level)
