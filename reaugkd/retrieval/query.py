"""The query path: everything retrieval adds after the student's forward pass."""

from __future__ import annotations

import math
from array import array
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reaugkd.errors import ModelError, UserError
from reaugkd.retrieval.ann.index import MISSING, AnnIndex, Ids
from reaugkd.retrieval.mixing import augment, probabilities
from reaugkd.retrieval.normalise import Vectors

_FEW = 100  # values of all neighbours up to which Python's own numbers are faster than arrays
_LEAST, _MOST = 1e-10, 1e10
"""Norms that float32 computes without overflow and without losing what underflows."""

_NOTHING = 1e-6
"""A best cosine below this may stand for a query without a direction: it is looked at again."""


class Answer(NamedTuple):
    """The answers to q queries; the arrays belong to the caller.

    ``mixed`` and ``student`` are [q, C] float32, ``similarities`` [q, k] float32 cosines,
    descending, -inf where missing, ``rows`` [q, k] int64 of the knowledge base, MISSING where there
    are fewer.
    """

    mixed: NDArray[np.float32]
    student: NDArray[np.float32]
    similarities: NDArray[np.float32]
    rows: NDArray[np.int64]


class QueryPath:
    """From logits and embedding to the mixture, in as few operations as possible.

    It gives what :func:`reaugkd.retrieval.mixing.augment` makes of the answers of
    ``index.search``, up to float32 rounding; a batch goes exactly that way. For one query the
    arithmetic costs next to nothing. What costs is to come back to code and tables that the
    forward pass has driven out of the caches: 10 to 40 us for the first use of a numpy function,
    against one for a loop of the interpreter, which is always at hand. So one query with few
    values is written in Python's numbers, with three operations (norm, division into a kept
    buffer, handing the result out) around the library's call.

    A path keeps buffers: use one per thread. Several may share an index.

    Args:
        index: built over the keys, with its effort set.
        values: [n, C] float32 of the knowledge base, finite; never written to.
        k: neighbours per query; where it is larger than n, all are used.
        tau: temperature of their weights, above 0.
        beta: their share of the answer, in [0, 1]; with 0 nothing is searched.

    Raises:
        ModelError: if ``values`` are not one row per entry of the index.
        UserError: if k, tau or beta is out of range.
    """

    def __init__(
        self, index: AnnIndex, values: NDArray[np.float32], *, k: int, tau: float, beta: float
    ) -> None:
        if values.ndim != 2 or not len(values) == index.size > 0:
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
        self.k, self.tau, self.beta = k, tau, beta
        self._values: NDArray[np.float32] = np.ascontiguousarray(values, dtype=np.float32)
        self._flat = self._values.reshape(-1).data
        self._outputs = values.shape[1]
        self._found = min(k, index.size)
        self._in_numbers = beta > 0.0 and self._found * self._outputs <= _FEW
        self._query = np.empty((1, index.dim), np.float32)
        self._result = array("f", [0.0] * self._outputs)
        with torch.inference_mode(False):  # or they could not be written to outside of it
            self._result_tensor = torch.frombuffer(self._result, dtype=torch.float32)[None]
        self._shapes = (1, self._outputs), (1, index.dim)

    def __call__(self, logits: Tensor, embedding: Tensor) -> Tensor:
        """The mixture [q, C], a float32 tensor of the caller's.

        Logits [q, C] and embedding [q, d] lie on the CPU, in any float dtype and layout. A
        ModelError tells of logits that do not fit, an EmbeddingError names the first query without
        a direction.
        """
        if self._in_numbers and (logits.shape, embedding.shape) == self._shapes:
            mixed = self._one(logits, embedding)
            if mixed is not None:
                return mixed
        return torch.from_numpy(self._mixed(_array(logits), _array(embedding)))

    def _mixed(self, logits: NDArray[Any], embedding: NDArray[Any]) -> NDArray[np.float32]:
        if self.beta == 0.0:
            return self._student(logits, len(logits))
        similarities, rows = self.index.search(embedding, self.k)
        return self._augmented(self._student(logits, len(rows)), similarities, rows)

    def answer(self, logits: NDArray[Any], embeddings: NDArray[Any]) -> Answer:
        """The same from arrays, with what it was made of."""
        if self.beta == 0.0:
            student = self._student(logits, len(logits))
            shape = (len(logits), self.k)
            absent = np.full(shape, -np.inf, np.float32), np.full(shape, MISSING, np.int64)
            return Answer(student.copy(), student, *absent)
        similarities, rows = self.index.search(embeddings, self.k)
        student = self._student(logits, len(rows))
        return Answer(self._augmented(student, similarities, rows), student, similarities, rows)

    def _student(self, logits: NDArray[Any], queries: int) -> NDArray[np.float32]:
        """The student's own distribution, or its scores, as a new array."""
        if logits.shape != (queries, self._outputs):
            raise ModelError(
                f"logits of shape {logits.shape} do not fit {queries} embeddings and "
                f"{self._outputs} values per entry: expected ({queries}, {self._outputs})"
            )
        return np.array(probabilities(logits), dtype=np.float32)

    def _augmented(
        self, student: NDArray[np.float32], similarities: Vectors, rows: Ids
    ) -> NDArray[np.float32]:
        mixed: NDArray[np.float32] = augment(
            student, similarities, rows, self._values, self.tau, self.beta
        )
        return mixed

    def _one(self, logits: Tensor, embedding: Tensor) -> Tensor | None:
        """The mixture for one query, or None where that needs the careful way.

        That is an embedding with a norm out of range (or none) or in float64, and neighbours
        that are missing.
        """
        if embedding.dtype is not torch.float32:
            if embedding.dtype is torch.float64:
                return None
            embedding = embedding.float()
        if embedding.requires_grad:
            embedding = embedding.detach()
        given = embedding.numpy()
        # One component tells that the norm is large enough for a library's float32; one that is too
        # large for it, or NaN, shows in the answer.
        if not (self.index.normalises and abs(given.item(0)) > _LEAST):
            norm = math.sqrt(np.vdot(given, given))  # NaN and infinity fail the comparison
            if not _LEAST < norm < _MOST:
                return None
            given = np.multiply(given, 1.0 / norm, out=self._query)
        cosines, rows = self.index.nearest(given, self._found)
        if not rows or min(rows) < 0:
            return None
        top = max(cosines)
        if not abs(top) > _NOTHING:
            return None
        if top > 1.0 or min(cosines) < -1.0:
            cosines = [max(-1.0, min(1.0, cosine)) for cosine in cosines]
            top = min(1.0, top)
        tau, flat, width, result = self.tau, self._flat, self._outputs, self._result
        shares = [math.exp((cosine - top) / tau) for cosine in cosines]
        weight = self.beta / sum(shares)
        own = logits.tolist()[0]
        kept = 1.0 - self.beta
        if width > 1:
            largest = max(own)
            own = [math.exp(logit - largest) for logit in own]
            kept /= sum(own)
        starts = [row * width for row in rows]
        for output, mine in enumerate(own):
            pairs = zip(shares, starts, strict=True)
            found = sum([share * flat[start + output] for share, start in pairs])
            result[output] = kept * mine + weight * found
        return self._result_tensor.clone()


def _array(tensor: Tensor) -> NDArray[Any]:
    """The tensor's memory as an array; a copy only where numpy has no such dtype, or a slow one."""
    if tensor.dtype is torch.bfloat16 or tensor.dtype is torch.float16:
        tensor = tensor.float()
    values: NDArray[Any] = tensor.detach().numpy()
    return values
