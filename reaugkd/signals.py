"""What the teacher says about every example: one pass, kept by row number, memory-mapped."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from reaugkd.distiller import SignalBatch
from reaugkd.models.encoder import Encoder
from reaugkd.reporter import Reporter
from reaugkd.training import inference
from reaugkd.training.inference import Precision


def take(table: NDArray[Any], rows: torch.Tensor) -> torch.Tensor:
    """``table`` [N, ...] at ``rows`` [B], on the device of ``rows`` and of the table's type."""
    return torch.from_numpy(table[rows.cpu().numpy()]).to(rows.device)


@dataclass(frozen=True)
class TeacherSignals:
    """The teacher's signals of one split, row by row.

    A loss cannot tell whether they were cached or have just been computed.

    Attributes:
        logits: [N, C] float32.
        embedding: [N, H_t] float32.
        states: [N, D_t + 1, H_t] float16, the [CLS] vectors of the embeddings and of every layer,
            or None. Half precision: for MNLI and BERT-base they are 7.8 GB as it is.
    """

    logits: NDArray[np.float32]
    embedding: NDArray[np.float32]
    states: NDArray[np.float16] | None = None

    def __len__(self) -> int:
        return len(self.logits)

    def batch(self, rows: torch.Tensor) -> SignalBatch:
        """The signals of ``rows`` [B] on the device of ``rows``."""
        states = None if self.states is None else take(self.states, rows).float()
        return SignalBatch(take(self.logits, rows), take(self.embedding, rows), states)

    @classmethod
    def open(cls, folder: Path, split: str) -> Self:
        """Map what :func:`write` left for ``split`` into memory, read-only."""
        paths = {name: folder / f"{split}.{name}.npy" for name in cls.__annotations__}
        return cls(**{n: np.load(p, mmap_mode="r") for n, p in paths.items() if p.is_file()})


def write(
    teacher: Encoder,
    splits: Mapping[str, Any],
    pad_id: int,
    folder: Path,
    precision: Precision,
    reporter: Reporter,
    *,
    states: Container[str] = (),
    stage: str = "teacher signals",
) -> dict[str, Any]:
    """One pass of the teacher over all splits, in evaluation mode, dropout off.

    Args:
        teacher: the model.
        splits: encoded rows by name.
        pad_id: id of the padding token.
        folder: where the tables go.
        precision: of the forward pass.
        reporter: told of progress.
        states: names of the splits of which the states of [CLS] are kept too.
        stage: name for the progress display.

    Returns:
        Rows per split and shapes, for the manifest.
    """
    for split, dataset in splits.items():
        inference.run(
            teacher,
            dataset,
            pad_id,
            precision=precision,
            into=folder / split,
            states=split in states,
            stage=f"{stage}: {split}",
            reporter=reporter,
        )
    rows = {split: len(dataset) for split, dataset in splits.items()}
    return {"rows": rows, "outputs": teacher.outputs, "width": teacher.width}
