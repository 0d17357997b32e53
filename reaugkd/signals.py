"""What the teacher says about every example: one pass, kept by row number, memory-mapped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from reaugkd import inference
from reaugkd.distiller import SignalBatch
from reaugkd.inference import Precision
from reaugkd.models import Encoder
from reaugkd.reporter import Reporter


@dataclass(frozen=True)
class TeacherSignals:
    """The teacher's logits [N, C] and embeddings [N, H_t] of one split, float32, row by row.

    A loss cannot tell whether they were cached or have just been computed.
    """

    logits: NDArray[np.float32]
    embedding: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.logits)

    def batch(self, rows: torch.Tensor) -> SignalBatch:
        """The signals of ``rows`` [B] on the device of ``rows``."""
        at = rows.cpu().numpy()
        return SignalBatch(
            torch.from_numpy(self.logits[at]).to(rows.device),
            torch.from_numpy(self.embedding[at]).to(rows.device),
        )

    @classmethod
    def open(cls, folder: Path, split: str) -> Self:
        """Map what :func:`write` left for ``split`` into memory, read-only."""
        tables = (
            np.load(folder / f"{split}.{name}.npy", mmap_mode="r") for name in cls.__annotations__
        )
        return cls(*tables)


def write(
    teacher: Encoder,
    splits: Mapping[str, Any],
    pad_id: int,
    folder: Path,
    precision: Precision,
    reporter: Reporter,
) -> dict[str, Any]:
    """One pass of the teacher over all splits, in evaluation mode, dropout off.

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
            stage=f"teacher signals: {split}",
            reporter=reporter,
        )
    rows = {split: len(dataset) for split, dataset in splits.items()}
    return {"rows": rows, "outputs": teacher.outputs, "width": teacher.width}
