"""Generated embeddings of class clusters with a spread of low rank, as a fine-tuned teacher's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RANK, DECAY, NOISE = 24, 0.85, 0.1
"""The spread within a class: directions, how each shrinks against the one before, and the rest."""

SEPARATION = 2.0
"""Distance of class centres in standard deviations of the first direction of the spread."""


class Clusters:
    """Class centres and directions of spread, the same for every draw of one width.

    ``classes`` is C; 1 for a regression, which has two clusters as well.
    """

    def __init__(self, dim: int, classes: int = 2) -> None:
        random = np.random.default_rng([dim, classes])
        clusters = max(classes, 2)
        # Orthogonal to the centres, as far as there is room.
        rank = max(0, min(RANK, dim - clusters))
        basis, _ = np.linalg.qr(random.standard_normal((dim, rank + clusters)))
        scale = DECAY ** np.arange(rank)
        self.directions = (basis[:, :rank].T * scale[:, None]).astype(np.float32)
        self.centres = (SEPARATION * basis[:, rank:].T).astype(np.float32)
        self.classes = classes
        self.noise = NOISE / np.sqrt(dim)

    def draw(self, rows: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Embeddings [rows, dim] of length about 10, and logits [rows, C] that belong to them."""
        random = np.random.default_rng([seed, 1])
        clusters = random.integers(0, len(self.centres), rows)
        spread = random.standard_normal((rows, len(self.directions)), np.float32)
        rest = random.standard_normal((rows, self.centres.shape[1]), np.float32)
        embeddings: NDArray[np.float64] = (
            self.centres[clusters] + spread @ self.directions + self.noise * rest
        )
        blurred = np.eye(len(self.centres), dtype=np.float32)[clusters]
        blurred += 0.5 * random.standard_normal(blurred.shape, np.float32)
        logits = blurred[:, : self.classes] * (5.0 if self.classes == 1 else 2.0)
        return 4.0 * embeddings, logits
