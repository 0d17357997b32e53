"""The query path: everything retrieval adds after the student's forward pass."""

from __future__ import annotations

import math
from math import exp
from operator import mul
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reaugkd.errors import EmbeddingError, ModelError, UserError
from reaugkd.retrieval import compress, skip
from reaugkd.retrieval.ann.index import MISSING, AnnIndex, Ids
from reaugkd.retrieval.compress import Span
from reaugkd.retrieval.mixing import augment, probabilities
from reaugkd.retrieval.normalise import Vectors, unit_queries

if TYPE_CHECKING:
    from reaugkd.retrieval.knowledge_base import KnowledgeBase

_FEW = 100  # values of all neighbours up to which Python's own numbers are faster than arrays
_LEAST, _MOST = 1e-10, 1e10
"""Norms that float32 computes without overflow and without losing what underflows."""

_NOTHING = 1e-6
"""A best cosine below this may stand for a query without a direction: it is looked at again."""


class Answer(NamedTuple):
    """The answers to q queries; the arrays belong to the caller.

    ``mixed`` and ``student`` are [q, C] float32, ``similarities`` [q, k] float32 cosines,
    descending, -inf where missing, ``rows`` [q, k] int64 of the knowledge base, MISSING where there
    are fewer. ``asked`` [q] bool tells for which queries the knowledge base was searched: of the
    others all neighbours are missing, and ``mixed`` is ``student``.
    """

    mixed: NDArray[np.float32]
    student: NDArray[np.float32]
    similarities: NDArray[np.float32]
    rows: NDArray[np.int64]
    asked: NDArray[np.bool_]


class QueryPath:
    """From logits and embedding to the mixture, in as few operations as possible.

    It gives what :func:`reaugkd.retrieval.mixing.augment` makes of the answers of
    ``index.search``, up to float32 rounding; a batch goes exactly that way. For one query the
    arithmetic costs next to nothing. What costs is to come back to code and tables that the
    forward pass has driven out of the caches: 10 to 40 us for the first use of a numpy function,
    against one for a loop of the interpreter, which is always at hand. So one query with few
    values is written in Python's numbers, with three operations (norm, division into a kept
    buffer, handing the result out) around the library's call. Many values (77 classes of ten
    neighbours) are worth a handful of numpy's.

    A path keeps buffers: use one per thread. Several may share an index.

    Args:
        index: built over the keys, with its effort set.
        values: [n, C] of the knowledge base: float32, finite, or codes in uint8; never written to.
        k: neighbours per query; where it is larger than n, all are used.
        tau: temperature of their weights, above 0.
        beta: their share of the answer, in [0, 1]; with 0 nothing is searched.
        counts: [n] rows that the entries stand for, where they weigh like as many.
        basis: [D, d] that queries of width D follow, where the keys were reduced.
        span: of scores in uint8.
        skip_above: margin of the student above which its answer stands and nothing is searched
            (:mod:`reaugkd.retrieval.skip`); with inf every query is.

    Raises:
        ModelError: if ``values``, ``counts`` or ``basis`` do not fit the index.
        UserError: if k, tau, beta or skip_above is out of range, or a regression is to skip.
    """

    def __init__(
        self,
        index: AnnIndex,
        values: NDArray[Any],
        *,
        k: int,
        tau: float,
        beta: float,
        counts: NDArray[np.int64] | None = None,
        basis: Vectors | None = None,
        span: Span | None = None,
        skip_above: float = math.inf,
    ) -> None:
        _require_fit(index, values, counts, basis)
        if k < 1:
            raise UserError(f"k must be at least 1, got {k}")
        if not (tau > 0.0 and math.isfinite(tau)):
            raise UserError(f"tau must be above 0 and finite, got {tau}")
        if not 0.0 <= beta <= 1.0:
            raise UserError(f"beta must be in [0, 1], got {beta}")
        skip.require_threshold(skip_above, values.shape[1])
        self.index = index
        self.k, self.tau, self.beta, self.skip_above = k, tau, beta, skip_above
        self._skips = skip_above < math.inf and beta > 0.0
        self._values = _served(values, span)
        self._step = 1.0 / compress.LEVELS if self._values.dtype == np.uint8 else 1.0
        self._counts = counts
        self._outputs = values.shape[1]
        self._found = min(k, index.size)
        self._in_numbers = self._found * self._outputs <= _FEW
        flat = self._values.reshape(-1).data  # a memoryview gives out Python's numbers
        self._columns = [flat[output :: self._outputs] for output in range(self._outputs)]
        self._directions = None if basis is None else compress.transposed(basis)
        self._components = np.empty((1, index.dim), np.float32)
        self._query = np.empty((1, index.dim), np.float32)
        self._result = np.empty((1, self._outputs), np.float32)
        self._written = self._result.reshape(-1).data
        width = index.dim if basis is None else basis.shape[0]
        self._shapes = (1, self._outputs), (1, width)

    @classmethod
    def over(
        cls,
        base: KnowledgeBase,
        index: AnnIndex,
        *,
        k: int,
        tau: float,
        beta: float,
        weigh: bool = False,
        skip_above: float = math.inf,
    ) -> Self:
        """The path over ``base``, with all that belongs to it.

        With ``weigh`` its entries weigh like the rows that they stand for.
        """
        return cls(
            index,
            base.values,
            k=k,
            tau=tau,
            beta=beta,
            counts=base.counts if weigh else None,
            basis=base.basis,
            span=base.span,
            skip_above=skip_above,
        )

    def __call__(self, logits: Tensor, embedding: Tensor) -> Tensor:
        """The mixture [q, C], a float32 tensor of the caller's.

        Logits [q, C] and embedding [q, D] lie on the CPU, in any float dtype and layout. A
        ModelError tells of logits that do not fit, an EmbeddingError names the first query without
        a direction among those that are searched.
        """
        if self.beta > 0.0 and (logits.shape, embedding.shape) == self._shapes:
            mixed = self._one(logits, embedding)
            if mixed is not None:
                return mixed
        return torch.from_numpy(self.answer(_array(logits), _array(embedding)).mixed)

    def answer(self, logits: NDArray[Any], embeddings: NDArray[Any]) -> Answer:
        """The same from arrays, with what it was made of."""
        if self.beta == 0.0:
            student = self._student(logits, len(logits))
            similarities, rows = self._absent(len(logits))
            return Answer(student.copy(), student, similarities, rows, np.zeros(len(rows), bool))
        if self._skips:
            student = self._student(logits, len(embeddings))
            asked = ~(skip.margins(student) > self.skip_above)  # NaN is asked, and stays visible
            similarities, rows = self._search_some(embeddings, asked)
        else:
            similarities, rows = self._search(embeddings)
            student, asked = self._student(logits, len(rows)), np.ones(len(rows), bool)
        mixed = augment(
            student, similarities, rows, self._values, self.tau, self.beta, self._counts
        )
        return Answer(mixed, student, similarities, rows, asked)

    def _search(self, embeddings: NDArray[Any]) -> tuple[Vectors, Ids]:
        if self._directions is not None:
            embeddings = compress.along(self._directions, embeddings)
        return self.index.search(embeddings, self.k)

    def _search_some(
        self, embeddings: NDArray[Any], asked: NDArray[np.bool_]
    ) -> tuple[Vectors, Ids]:
        """The neighbours of the queries that are ``asked`` [q], in one search; of others none."""
        if asked.all():
            return self._search(embeddings)
        similarities, rows = self._absent(len(asked))
        try:
            similarities[asked], rows[asked] = self._search(embeddings[asked])
        except EmbeddingError:
            unit_queries(np.where(asked[:, None], embeddings, 1))  # names it by its place among all
            raise
        return similarities, rows

    def _absent(self, queries: int) -> tuple[Vectors, Ids]:
        shape = (queries, self.k)
        return np.full(shape, -np.inf, np.float32), np.full(shape, MISSING, np.int64)

    def _student(self, logits: NDArray[Any], queries: int) -> NDArray[np.float32]:
        """The student's own distribution, or its scores, as a new array."""
        if logits.shape != (queries, self._outputs):
            raise ModelError(
                f"logits of shape {logits.shape} do not fit {queries} embeddings and "
                f"{self._outputs} values per entry: expected ({queries}, {self._outputs})"
            )
        return np.array(probabilities(logits), dtype=np.float32)

    def _one(self, logits: Tensor, embedding: Tensor) -> Tensor | None:
        """The mixture for one query, or None where that needs the careful way.

        That is an embedding with a norm out of range (or none) or in float64, neighbours that are
        missing, and a margin so near to the threshold that its rounding decides.
        """
        own, total = self._alone(logits)
        if self._skips:
            below, above = (sorted(own) if self._in_numbers else np.partition(own, -2).tolist())[
                -2:
            ]
            lead = (above - below) / total - self.skip_above
            if abs(lead) < skip.ROUNDING:
                return None
            if lead > 0.0:
                return torch.from_numpy((np.asarray(own) / total).astype(np.float32)[None])
        neighbours = self._nearest(embedding)
        if neighbours is None:
            return None
        cosines, rows = neighbours
        top, tau, counts = max(cosines), self.tau, self._counts
        shares = [exp((cosine - top) / tau) for cosine in cosines]
        if counts is not None:
            shares = [share * counts.item(row) for share, row in zip(shares, rows, strict=True)]
        weight = self.beta / sum(shares) * self._step
        kept = (1.0 - self.beta) / total
        if not self._in_numbers:
            values = self._values.take(rows, axis=0)
            mixed = np.einsum("k,kc->c", np.array(shares, np.float32) * weight, values)
            return torch.from_numpy((kept * own + mixed)[None])
        for output, column in enumerate(self._columns):
            mean = sum(map(mul, shares, map(column.__getitem__, rows)))
            self._written[output] = kept * own[output] + weight * mean
        return torch.from_numpy(self._result.copy())

    def _alone(self, logits: Tensor) -> tuple[Any, float]:
        """The student's answer to one query before the division by its total, and that.

        Python's numbers where there are few values, else an array.
        """
        if not self._in_numbers:
            scores = logits.detach().float()
            return (torch.softmax(scores, 1) if self._outputs > 1 else scores).numpy()[0], 1.0
        own = logits.tolist()[0]
        if self._outputs == 1:
            return own, 1.0
        largest = max(own)
        powers = [exp(logit - largest) for logit in own]
        return powers, sum(powers)

    def _nearest(self, embedding: Tensor) -> tuple[list[float], list[int]] | None:
        """Cosines, at most 1, and rows of the neighbours of one query; None as :meth:`_one`."""
        if embedding.dtype is not torch.float32:
            if embedding.dtype is torch.float64:
                return None
            embedding = embedding.float()
        if embedding.requires_grad:
            embedding = embedding.detach()
        given = embedding.numpy()
        if self._directions is not None:
            given = np.vecdot(self._directions, given, out=self._components)
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
        return cosines, rows


def _array(tensor: Tensor) -> NDArray[Any]:
    """The tensor's memory as an array; a copy only where numpy has no such dtype, or a slow one."""
    if tensor.dtype is torch.bfloat16 or tensor.dtype is torch.float16:
        tensor = tensor.float()
    values: NDArray[Any] = tensor.detach().numpy()
    return values


def _served(values: NDArray[Any], span: Span | None) -> NDArray[Any]:
    """Values [n, C] as they are looked up: float32, or codes of classes; scores are numbers."""
    if values.dtype == np.uint8 and values.shape[1] > 1:
        return np.ascontiguousarray(values)
    return np.ascontiguousarray(compress.as_numbers(values, span), dtype=np.float32)


def _require_fit(
    index: AnnIndex,
    values: NDArray[Any],
    counts: NDArray[np.int64] | None,
    basis: Vectors | None,
) -> None:
    """Raise :class:`ModelError` if an array does not fit the index."""
    if values.ndim != 2 or not len(values) == index.size > 0:
        raise ModelError(
            f"values of shape {values.shape} do not fit an index of {index.size} entries: "
            "expected one row [C] per entry"
        )
    if counts is not None and counts.shape != (index.size,):
        raise ModelError(f"counts of shape {counts.shape} do not fit {index.size} entries")
    if basis is not None and (basis.ndim != 2 or basis.shape[1] != index.dim):
        raise ModelError(
            f"a basis of shape {basis.shape} does not fit an index of width {index.dim}: expected "
            f"[D, {index.dim}]"
        )
