"""A frozen sentence encoder that embeds the rows for a teacher without embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.pipeline.data import TaskRows
from reaugkd.errors import ModelError
from reaugkd.models import spec as model_spec
from reaugkd.models.encoder import Encoder
from reaugkd.models.spec import ModelSpec
from reaugkd.reporter import Reporter
from reaugkd.training import inference


class KeyEncoder:
    """The mean of the token vectors of ``spec``'s last layer, normalised, for every row of fit."""

    def __init__(
        self, spec: ModelSpec, rows: TaskRows, device: torch.device, reporter: Reporter
    ) -> None:
        self.spec, self.rows, self.device, self.reporter = spec, rows, device, reporter

    @property
    def identity(self) -> dict[str, Any]:
        """Plain JSON that decides the embeddings."""
        return {"model": self.spec.identity(), **self.rows.reading(self.spec).identity}

    @property
    def width(self) -> int:
        """Width of the embeddings."""
        return self._encoder().width

    def check(self) -> None:
        """Raise ModelError if it cannot be loaded or cannot read ``data.max_length`` tokens."""
        longest, wanted = self._encoder().longest, self.rows.config.data.max_length
        if longest < wanted:
            raise ModelError(f"the key encoder reads {longest} tokens, data.max_length is {wanted}")

    def _encoder(self) -> Encoder:
        vocabulary = self.rows.reading(self.spec).vocabulary
        return Encoder(model_spec.load_backbone(self.spec, vocabulary, seed=0), 1, "mean")

    def embeddings(self) -> NDArray[np.float32]:
        """[n, H], of length 1."""
        reading = self.rows.reading(self.spec)
        encoder = self._encoder().to(self.device).eval()
        rows = reading.encoded.splits["fit"]
        stage, shown = f"keys by {self.spec.describe()}", self.reporter
        output = inference.run(encoder, rows, reading.pad_id, stage=stage, reporter=shown)
        length = np.linalg.norm(output.embedding, axis=1, keepdims=True)
        embedding: NDArray[np.float32] = output.embedding / np.maximum(length, 1e-12)
        return embedding
