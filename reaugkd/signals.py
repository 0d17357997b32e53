"""What a teacher says about every example: a table by row number, memory-mapped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from reaugkd.batch import Batch, SignalBatch

if TYPE_CHECKING:
    from torch import Tensor


class SignalSource(Protocol):
    """Where a training loop gets the signals of a batch: a table, several, or a live teacher."""

    def batch(self, batch: Batch) -> SignalBatch:
        """The signals for the rows of ``batch``, on its device."""


def take(table: NDArray[Any], rows: Tensor) -> Tensor:
    """``table`` [N, ...] at ``rows`` [B], on the device of ``rows`` and of the table's type."""
    from torch import from_numpy

    return from_numpy(table[rows.cpu().numpy()]).to(rows.device)


@dataclass(frozen=True)
class TeacherSignals:
    """The teacher's signals of one split, row by row; a :class:`SignalSource`.

    A loss cannot tell whether they were cached or have just been computed.

    Attributes:
        logits: [N, C] float32.
        embedding: [N, H_t] float32, or None: a black-box teacher may have none.
        states: [N, D_t + 1, H_t] float16, the [CLS] vectors of the embeddings and of every layer,
            or None. Half precision: for MNLI and BERT-base they are 7.8 GB as it is.
    """

    logits: NDArray[np.float32]
    embedding: NDArray[np.float32] | None = None
    states: NDArray[np.float16] | None = None

    def __len__(self) -> int:
        return len(self.logits)

    def batch(self, batch: Batch) -> SignalBatch:
        """The signals for the rows of ``batch``, on its device."""
        rows = batch.rows
        embedding = None if self.embedding is None else take(self.embedding, rows)
        states = None if self.states is None else take(self.states, rows).float()
        return SignalBatch(take(self.logits, rows), embedding, states)

    @classmethod
    def open(cls, folder: Path, split: str) -> Self:
        """Map the tables of ``split`` that lie in ``folder`` into memory, read-only."""
        paths = {name: folder / f"{split}.{name}.npy" for name in cls.__annotations__}
        return cls(**{n: np.load(p, mmap_mode="r") for n, p in paths.items() if p.is_file()})
