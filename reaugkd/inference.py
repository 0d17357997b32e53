"""One pass of an encoder over a split: logits and embeddings of every row, in row order."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from reaugkd.batches import Collator, by_length
from reaugkd.errors import ModelError
from reaugkd.models import Encoder
from reaugkd.reporter import Reporter, Silent

Precision = Literal["fp32", "bf16"]
BATCH = 64


class Outputs(NamedTuple):
    """Logits [N, C] and embeddings [N, H] of a split, float32, row by row."""

    logits: NDArray[np.float32]
    embedding: NDArray[np.float32]


def device_of(setting: Literal["auto", "cpu"]) -> torch.device:
    """The device that accelerate trains on under ``setting``: a GPU if there is one, or the CPU."""
    return torch.device("cuda" if setting == "auto" and torch.cuda.is_available() else "cpu")


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """The autocast context of a precision."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def run(
    encoder: Encoder,
    dataset: Any,
    pad_id: int,
    *,
    precision: Precision = "fp32",
    into: Path | None = None,
    stage: str = "encode",
    reporter: Reporter | None = None,
) -> Outputs:
    """Encode every row once, without dropout and without gradients.

    Args:
        encoder: the model; its training mode is restored afterwards.
        dataset: an encoded split.
        pad_id: id of the padding token.
        precision: of the forward pass; the results are float32.
        into: a prefix of two ``.npy`` files to hold the results memory-mapped.
        stage: name for the progress display.
        reporter: told of the progress.

    Raises:
        ModelError: if an output is not finite; names the row.
    """
    reporter = reporter or Silent()
    rows, device = len(dataset), next(encoder.parameters()).device
    logits = _table(into, "logits", (rows, encoder.outputs))
    embedding = _table(into, "embedding", (rows, encoder.width))
    collator, training = Collator(dataset, pad_id), encoder.training
    encoder.eval()
    reporter.start(stage, rows)
    try:
        with torch.inference_mode(), autocast(device, precision):
            for batch_rows in by_length(dataset["length"], BATCH):
                batch = collator(batch_rows)
                output = encoder(**{k: v.to(device) for k, v in batch.inputs.items()})
                logits[batch_rows] = output.logits.float().cpu().numpy()
                embedding[batch_rows] = output.embedding.float().cpu().numpy()
                reporter.advance(len(batch_rows))
    finally:
        encoder.train(training)
    reporter.finish()
    for name, table in (("logits", logits), ("embedding", embedding)):
        bad = np.flatnonzero(~np.isfinite(table).all(axis=1))
        if bad.size:
            raise ModelError(
                f"{stage}: the {name} of row {bad[0]} (and {bad.size - 1} more) is not finite"
            )
        if isinstance(table, np.memmap):
            table.flush()
    return Outputs(logits, embedding)


def _table(into: Path | None, name: str, shape: tuple[int, int]) -> NDArray[np.float32]:
    if into is None:
        return np.zeros(shape, dtype=np.float32)
    path = into.with_name(f"{into.name}.{name}.npy")
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
