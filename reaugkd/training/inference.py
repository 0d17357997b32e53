"""One pass of an encoder over a split: logits and embeddings of every row, in row order."""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from reaugkd import surroundings
from reaugkd.artifacts import disk
from reaugkd.errors import ModelError
from reaugkd.models import threads
from reaugkd.models.encoder import Encoder
from reaugkd.models.learner import autocast
from reaugkd.models.recipe import Precision
from reaugkd.reporter import Reporter, Silent
from reaugkd.tasks.encode import Encoded
from reaugkd.training.batches import Collator, by_length

BATCH = 64


class Outputs(NamedTuple):
    """Logits [N, C] and embeddings [N, H] of a split, float32, row by row."""

    logits: NDArray[np.float32]
    embedding: NDArray[np.float32]


def device_of(setting: Literal["auto", "cpu"]) -> torch.device:
    """The device that accelerate trains on under ``setting``: a GPU if there is one, or the CPU."""
    return torch.device("cuda" if setting == "auto" and torch.cuda.is_available() else "cpu")


def run(
    encoder: Encoder,
    dataset: Any,
    pad_id: int,
    *,
    precision: Precision = "fp32",
    into: Path | None = None,
    states: bool = False,
    stage: str = "encode",
    reporter: Reporter | None = None,
) -> Outputs:
    """Encode every row once, without dropout and without gradients; the training mode is restored.

    Args:
        encoder: the model.
        dataset: an encoded split.
        pad_id: id of the padding token.
        precision: of the forward pass; the results are float32.
        into: a prefix of ``.npy`` files to hold the results memory-mapped.
        states: also write the [CLS] vectors of all layers, [N, D + 1, H] float16, below ``into``.
        stage: name for the progress display.
        reporter: told of the progress.

    A ModelError names the first row whose output is not finite.
    """
    reporter = reporter or Silent()
    rows, device = len(dataset), next(encoder.parameters()).device
    logits = _table(into, "logits", (rows, encoder.outputs))
    embedding = _table(into, "embedding", (rows, encoder.width))
    tables = {"logits": logits, "embedding": embedding}
    if states:
        shape = (rows, encoder.depth + 1, encoder.width)
        tables["states"] = _table(into, "states", shape, np.float16)
    bad: dict[str, list[int]] = {name: [] for name in tables}
    collator, training = Collator(dataset, pad_id), encoder.training
    encoder.eval()
    reporter.start(stage, rows)
    try:
        lengths = dataset["length"][:]
        tokens = BATCH * sum(lengths) / max(1, rows)
        with (
            torch.inference_mode(),
            surroundings.exact(),
            autocast(device, precision),
            threads.fitting([encoder.width], tokens),
        ):
            for batch_rows in by_length(lengths, BATCH):
                batch = collator(batch_rows)
                inputs = {k: v.to(device) for k, v in batch.inputs.items()}
                output = encoder(**inputs, states=states)
                for name, table in tables.items():
                    values = getattr(output, name).float().cpu().numpy()
                    finite = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
                    bad[name] += np.asarray(batch_rows)[~finite].tolist()
                    table[batch_rows] = values
                reporter.advance(len(batch_rows))
    finally:
        encoder.train(training)
    reporter.finish()
    for name, table in tables.items():
        if bad[name]:
            raise ModelError(
                f"{stage}: the {name} of row {min(bad[name])} (and {len(bad[name]) - 1} more) "
                "is not finite"
            )
        if isinstance(table, np.memmap):
            table.flush()
    return Outputs(logits, embedding)


def _table(
    into: Path | None, name: str, shape: tuple[int, ...], dtype: Any = np.float32
) -> NDArray[Any]:
    if into is None:
        return np.zeros(shape, dtype=dtype)
    path = into.with_name(f"{into.name}.{name}.npy")
    table: NDArray[Any] = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    disk.reserve(path)
    return table


def write_signals(
    teacher: Encoder,
    encoded: Encoded,
    folder: Path,
    precision: Precision,
    reporter: Reporter,
    *,
    states: Container[str] = (),
    splits: Iterable[str] | None = None,
    stage: str = "teacher signals",
) -> dict[str, Any]:
    """One pass of the teacher over ``splits`` (all by default), for ``TeacherSignals.open``.

    ``states`` names the splits of which the states of [CLS] are kept too. Returns the rows per
    split and the shapes, for the manifest.
    """
    rows: dict[str, int] = {}
    for split in encoded.splits if splits is None else splits:
        dataset = encoded.splits[split]
        rows[split] = len(dataset)
        run(
            teacher,
            dataset,
            encoded.pad_id,
            precision=precision,
            into=folder / split,
            states=split in states,
            stage=f"{stage}: {split}",
            reporter=reporter,
        )
    return {"rows": rows, "outputs": teacher.outputs, "width": teacher.width}
