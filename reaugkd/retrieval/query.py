"""The query path: everything retrieval adds after the student's forward pass."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reaugkd.errors import ModelError, UserError
from reaugkd.retrieval.ann.index import MISSING, AnnIndex, Ids
from reaugkd.retrieval.mixing import augment, probabilities
from reaugkd.retrieval.normalise import Vectors


_TAUS = (1e-6, 1e30)
"""Temperatures that float32 can divide cosines by; with others float64 does it."""


class Answer(NamedTuple):
    """The answers to q queries; the arrays belong to the caller.

    Attributes:
        mixed: [q, C] float32 probabilities after mixing, or scores where C = 1.
        student: [q, C] float32: the student's own.
        similarities: [q, k] float32 cosines, descending, -inf where missing.
        rows: [q, k] int64 rows of the knowledge base, MISSING where there are fewer.
    """

    mixed: NDArray[np.float32]
    student: NDArray[np.float32]
    similarities: NDArray[np.float32]
    rows: NDArray[np.int64]


class QueryPath:
    """From logits and embedding to the mixture, in as few array operations as possible.

    It computes what :func:`reaugkd.retrieval.mixing.augment` does with the answers of
    ``index.search``, up to float32 rounding. For one query every operation costs more than its
    arithmetic, so that case is written out: two softmaxes, one gather, one weighted sum. Small
    arrays are made anew by each call, which numpy does as fast as it fills a kept one, so nothing
    is shared between calls: a path is as safe to use from several threads as its index.

    Args:
        index: built over the keys, with its effort set.
        values: [n, C] float32 of the knowledge base, finite; never written to.
        k: neighbours per query.
        tau: temperature of their weights, above 0.
        beta: their share of the answer, in [0, 1]; with 0 nothing is searched.

    Raises:
        ModelError: if ``values`` are not one row per entry of the index.
        UserError: if k, tau or beta is out of range.
    """

    def __init__(
        self,
        index: AnnIndex,
        values: NDArray[np.float32],
        *,
        k: int,
        tau: float,
        beta: float,
    ) -> None:
        if values.ndim != 2 or len(values) != index.size:
            raise ModelError(
                f"values of shape {values.shape} do not fit an index of {index.size} entries: "
                "expected one row [C] per entry"
            )
        if k < 1:
            raise UserError(f"k must be at least 1, got {k}")
        if not (tau > 0.0 and math.isfinite(tau)):
            raise UserError(f"tau must be above 0 and finite, got {tau}")
        if not 0.0 <= beta <= 1.0:
            raise UserError(f"beta must be in [0, 1], got {beta}")
        self.index = index
        self.k = k
        self.tau = tau
        self.beta = beta
        self._values: NDArray[np.float32] = np.ascontiguousarray(values, dtype=np.float32)
        self._class_ones = np.ones(values.shape[1], np.float32)
        self._ones = np.ones(k, np.float32)
        self._short = _TAUS[0] <= tau <= _TAUS[1]

    def __call__(self, logits: Tensor, embedding: Tensor) -> Tensor:
        """The mixture [q, C], a float32 tensor of the caller's.

        Args:
            logits: [q, C] on the CPU, any float dtype and layout.
            embedding: [q, d], of any length but 0.

        Raises:
            ModelError: if the logits are not [q, C].
            EmbeddingError: naming the first query without a direction, or if the width is wrong.
        """
        scores = _array(logits)
        if self.beta == 0.0:
            return torch.from_numpy(self._student(scores))
        similarities, rows = self.index.search(_array(embedding), self.k)
        return torch.from_numpy(self._mixed(scores, similarities, rows))

    def answer(self, logits: NDArray[Any], embeddings: NDArray[Any]) -> Answer:
        """The same from arrays, with what it was made of.

        Args:
            logits: [q, C], any float dtype.
            embeddings: [q, d].

        Raises:
            ModelError: if the logits are not [q, C].
            EmbeddingError: naming the first query without a direction, or if the width is wrong.
        """
        if self.beta == 0.0:
            shape = (len(logits), self.k)
            absent = np.full(shape, -np.inf, np.float32), np.full(shape, MISSING, np.int64)
            return Answer(self._student(logits), self._student(logits), *absent)
        similarities, rows = self.index.search(embeddings, self.k)
        mixed = self._mixed(logits, similarities, rows)
        return Answer(mixed, self._student(logits), similarities, rows)

    def _student(self, logits: NDArray[Any]) -> NDArray[np.float32]:
        """The student's own distribution, or its scores, as an array of its own."""
        self._fit(logits, len(logits))
        return np.array(probabilities(logits), dtype=np.float32)

    def _fit(self, logits: NDArray[Any], queries: int) -> None:
        outputs = len(self._class_ones)
        if logits.shape != (queries, outputs):
            raise ModelError(
                f"logits of shape {logits.shape} do not fit {queries} embeddings and values of "
                f"width {outputs}: expected ({queries}, {outputs})"
            )

    def _mixed(self, logits: NDArray[Any], similarities: Vectors, rows: Ids) -> NDArray[np.float32]:
        self._fit(logits, len(rows))
        # In order, so what is missing stands last.
        if self._short and len(rows) == 1 and rows.item(-1) >= 0:
            return self._one(logits[0], similarities[0], rows[0])
        student = self._student(logits)
        mixed: NDArray[np.float32] = augment(
            student, similarities, rows, self._values, self.tau, self.beta
        )
        return mixed

    def _one(self, logits: NDArray[Any], nearest: Vectors, rows: Ids) -> NDArray[np.float32]:
        """The mixture [1, C] for one query with all k neighbours.

        Float32 is enough, as each softmax subtracts its largest first: an exponent's rounding
        grows with its size, and its power falls faster.
        """
        shares = np.exp((nearest - nearest[0]) / self.tau)
        found = shares.dot(self._values.take(rows, axis=0))
        found *= self.beta / float(shares.dot(self._ones))
        if len(logits) == 1:
            own = logits * (1.0 - self.beta)
        else:
            own = np.exp(logits - logits.item(logits.argmax()))
            own *= (1.0 - self.beta) / float(own.dot(self._class_ones))
        own += found
        mixed: NDArray[np.float32] = own.astype(np.float32, copy=False)[None]
        return mixed


def _array(tensor: Tensor) -> NDArray[Any]:
    """The tensor's memory as an array; a copy only where numpy has no such dtype, or a slow one."""
    if tensor.dtype is torch.bfloat16 or tensor.dtype is torch.float16:
        tensor = tensor.float()
    if tensor.requires_grad:
        tensor = tensor.detach()
    array: NDArray[Any] = tensor.numpy()
    return array
