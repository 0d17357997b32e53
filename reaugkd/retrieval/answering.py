"""Answers of a student that may look things up: predictions, explanations, neighbours."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from reaugkd.errors import EmbeddingError, ModelError, UserError
from reaugkd.models.encoder import Encoder
from reaugkd.models.learner import autocast
from reaugkd.models.onnx_encoder import OnnxEncoder
from reaugkd.models.recipe import Precision
from reaugkd.retrieval import skip
from reaugkd.retrieval.ann.index import MISSING, AnnIndex
from reaugkd.retrieval.explanation import AnswerExplanation, Neighbour, floats, label_of
from reaugkd.retrieval.facts import ClassifierFacts
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.mixing import neighbour_log_counts, neighbour_values, weights
from reaugkd.retrieval.query import QueryPath
from reaugkd.retrieval.saved import Text
from reaugkd.retrieval.sweep import Grid
from reaugkd.retrieval.texts import Texts, read_texts
from reaugkd.training.batches import by_length, padded

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Neighbours(NamedTuple):
    """The nearest entries to n texts, whatever k, beta and skipping an answer has.

    Attributes:
        similarities: [n, k] float32: cosines, descending; -inf where there are fewer entries.
        ids: [n, k] int64; -1 where there are fewer.
    """

    similarities: NDArray[np.float32]
    ids: NDArray[np.int64]


class Prediction(NamedTuple):
    """The answers for n texts.

    Attributes:
        probabilities: [n, C] after mixing; the scores [n, 1] of a regression.
        labels: [n]: names where the classifier knows them, else class ids; a regression's scores.
        neighbours: [n, k] int64: ids of the training examples that were asked, nearest first.
        similarities: [n, k] float32: their cosines.
        student: [n, C]: what the student says on its own.
        asked: [n] bool: whether the knowledge base was searched. Where it was not, the
            probabilities are the student's, and there are no neighbours.
    """

    probabilities: NDArray[np.float32]
    labels: NDArray[Any]
    neighbours: NDArray[np.int64]
    similarities: NDArray[np.float32]
    student: NDArray[np.float32]
    asked: NDArray[np.bool_]


class AnsweringClassifier:
    """Student, knowledge base, index and the setting that was chosen for them.

    Threads may ask one classifier at once, and so may the children of a fork, which then use one
    thread of torch and of the index each: those of the parent do not live on in them.

    Args:
        encoder, tokenizer: the student's, the encoder of torch or an exported one; its embedding is
            the query.
        knowledge_base: as wide as the embedding, values as wide as the logits.
        index: built over the keys, with its effort set.
        k, tau: neighbours per text, and temperature of their weights.
        beta: their share of the answer, in [0, 1]; with 0 nothing is looked up.
        labels: names of the classes in the order of their ids; empty if unknown.
        max_length: tokens of a text or pair; of longer ones the longer sentence is cut, at the end
            or wherever the tokenizer's ``truncation_side`` says.
        precision: of the student's forward pass in torch.
        pair: whether the task takes pairs of sentences; None where that is not known: then the
            first text of a call tells what the others must be.
        weigh: whether an entry weighs like the rows that it stands for, where the knowledge base
            has counts.
        skip_above: margin of the student above which it answers alone
            (:mod:`reaugkd.retrieval.skip`); with inf the knowledge base is always asked.
        texts: id -> text of the entries, which explanations show; None where none are kept.
        facts: how it was made and measured, which its model card tells; None if unknown.

    Raises:
        ModelError: if the parts do not fit together.
        UserError: if k is larger than the knowledge base, tau, beta or skip_above out of range, or
            a regression is to skip.
    """

    def __init__(
        self,
        encoder: Encoder | OnnxEncoder,
        tokenizer: PreTrainedTokenizerBase,
        knowledge_base: KnowledgeBase,
        index: AnnIndex,
        *,
        k: int,
        tau: float,
        beta: float,
        labels: Sequence[str] = (),
        max_length: int = 128,
        precision: Precision = "fp32",
        pair: bool | None = None,
        weigh: bool = False,
        skip_above: float = math.inf,
        texts: Mapping[int, Text] | None = None,
        facts: ClassifierFacts | None = None,
    ) -> None:
        width, outputs = knowledge_base.width, knowledge_base.values.shape[1]
        if (encoder.width, encoder.outputs) != (width, outputs):
            raise ModelError(
                f"a student of width {encoder.width} with {encoder.outputs} outputs cannot use a "
                f"knowledge base of width {width} with {outputs} values"
            )
        if (index.size, index.dim) != knowledge_base.keys.shape:
            raise ModelError(
                f"the index holds {index.size} vectors of width {index.dim}, the knowledge base "
                f"{len(knowledge_base)} of width {knowledge_base.keys.shape[1]}"
            )
        if labels and len(labels) != outputs:
            raise ModelError(f"{len(labels)} label names for {outputs} outputs")
        Grid(ks=(k,), betas=(beta,), taus=(tau,)).require(len(knowledge_base))
        skip.require_threshold(skip_above, outputs)
        if foreign := set(texts or {}) - set(knowledge_base.ids.tolist()):
            raise ModelError(f"there is a text of id {min(foreign)}, which is no entry")
        self.encoder: Encoder | OnnxEncoder = encoder.eval()
        self.tokenizer = tokenizer
        self.knowledge_base, self.index = knowledge_base, index
        self.k, self.tau, self.beta = k, tau, beta
        self.labels, self.max_length = tuple(labels), max_length
        self.precision: Precision = precision
        self.pair = pair
        self.weigh, self.skip_above = weigh, skip_above
        self.texts: Mapping[int, Text] | None = None if texts is None else dict(texts)
        self.facts = facts
        self._process = os.getpid()
        self._folder: Path | None = None

    def predict(self, texts: Texts, batch_size: int = 32) -> Prediction:
        """Answer for sentences, or for pairs of sentences, in their order.

        They are read by position, whatever holds them: a list, a column of pandas, numpy, pyarrow
        or datasets, an iterator. An answer does not depend on what is asked beside it.

        Raises:
            TextsError: names the place of the first text that is not what the task takes.
            EmbeddingError: names the first text whose embedding has no direction.
            UserError: for a ``batch_size`` below 1.
        """
        return self.answer(*self.encode(texts, batch_size))

    def explain(self, text: str | Sequence[str]) -> AnswerExplanation:
        """The answer to one text or pair, with the neighbours and their shares in it.

        Errors as of :meth:`predict`.
        """
        return self.explain_all([text])[0]

    def explain_all(self, texts: Texts, batch_size: int = 32) -> list[AnswerExplanation]:
        """What :meth:`explain` says of each text, from one search; errors as of :meth:`predict`."""
        logits, embeddings = self.encode(texts, batch_size)
        mixed, student, similarities, rows, _ = self.path().answer(logits, embeddings)
        base, beta = self.knowledge_base, self.beta
        counts = neighbour_log_counts(base.counts if self.weigh else None, rows)
        shares = beta * weights(similarities, self.tau, counts)
        values = neighbour_values(base.values, rows, base.span)
        neighbours = map(self._neighbours, rows, values, similarities, shares)
        return [
            AnswerExplanation(
                label=label_of(answer, self.labels),
                probabilities=floats(answer),
                student_label=label_of(own, self.labels),
                student=floats(own),
                student_share=1.0 - beta if nearest else 1.0,
                neighbours=nearest,
            )
            for answer, own, nearest in zip(mixed, student, neighbours, strict=True)
        ]

    def _neighbours(
        self,
        rows: NDArray[np.int64],
        values: NDArray[Any],
        similarities: NDArray[np.float32],
        shares: NDArray[np.float64],
    ) -> tuple[Neighbour, ...]:
        """The neighbours of one text, from ``rows`` [k] of the base; those that are missing not."""
        return tuple(
            Neighbour(
                id=(number := int(self.knowledge_base.ids[row])),
                text=(self.texts or {}).get(number),
                label=label_of(value, self.labels),
                values=floats(value),
                similarity=float(cosine),
                share=float(share),
            )
            for row, value, cosine, share in zip(rows, values, similarities, shares, strict=True)
            if row != MISSING
        )

    def kneighbors(self, texts: Texts, k: int | None = None) -> Neighbours:
        """The ``k`` nearest entries to each text, by default as many as an answer asks.

        They are searched for whatever beta and skipping say. Errors as of :meth:`predict`, and a
        UserError for a k below 1.
        """
        if k is not None and not (hasattr(k, "__index__") and k >= 1):
            raise UserError(f"k must be a whole number of at least 1, got {k!r}")
        base, (_, embeddings) = self.knowledge_base, self.encode(texts)
        similarities, rows = self.index.search(base.queries(embeddings), k or self.k)
        return Neighbours(similarities, self._ids(rows))

    def _ids(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Ids of rows of the knowledge base, of the missing ones MISSING."""
        return np.where(rows < 0, MISSING, self.knowledge_base.ids.take(rows, mode="clip"))

    def encode(
        self, texts: Texts, batch_size: int = 32
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The student's logits [n, C] and embeddings [n, d], float32; texts as for :meth:`predict`.

        An EmbeddingError names the first text whose logits are not finite.
        """
        if not (hasattr(batch_size, "__index__") and batch_size >= 1):
            raise UserError(f"batch_size must be a whole number of at least 1, got {batch_size!r}")
        rows = read_texts(texts, pair=self.pair)
        self._notice_fork()
        logits = np.empty((len(rows), self.encoder.outputs), np.float32)
        embeddings = np.empty((len(rows), self.encoder.width), np.float32)
        device = device_of(self.encoder)
        lengths = [sum(map(len, row)) for row in rows]
        with torch.inference_mode(), autocast(device, self.precision):
            for batch in by_length(lengths, batch_size):
                inputs = self._inputs([rows[at] for at in batch])
                output = self.encoder(**{name: ids.to(device) for name, ids in inputs.items()})
                logits[batch] = output.logits.float().cpu().numpy()
                embeddings[batch] = output.embedding.float().cpu().numpy()
        if not (finite := np.isfinite(logits).all(axis=1)).all():
            raise EmbeddingError(f"the student's logits of text {finite.argmin()} are not finite")
        return logits, embeddings

    def answer(self, logits: NDArray[np.float32], embeddings: NDArray[np.float32]) -> Prediction:
        """All that follows the student's forward pass: search, weights, mixture, decision."""
        self._notice_fork()
        mixed, student, similarities, rows, asked = self.path().answer(logits, embeddings)
        neighbours = self._ids(rows)
        return Prediction(mixed, self._decide(mixed), neighbours, similarities, student, asked)

    def path(self) -> QueryPath:
        """The way from the student's outputs to the mixture; one for each thread."""
        return QueryPath.over(
            self.knowledge_base,
            self.index,
            k=self.k,
            tau=self.tau,
            beta=self.beta,
            weigh=self.weigh,
            skip_above=self.skip_above,
        )

    def _notice_fork(self) -> None:
        """In the child of a fork, do without the threads that its parent's work waits for."""
        if self._process != os.getpid():
            torch.set_num_threads(1)
            self.index.threads = 1
            self._process = os.getpid()

    def _decide(self, mixed: NDArray[np.float32]) -> NDArray[Any]:
        if mixed.shape[1] == 1:
            return mixed[:, 0]
        classes: NDArray[np.int64] = mixed.argmax(axis=1)
        return np.array(self.labels)[classes] if self.labels else classes

    def _inputs(self, rows: Sequence[tuple[str, ...]]) -> dict[str, torch.Tensor]:
        """The encoder's inputs, as in training: cut by the tokenizer, padded by the batch."""
        columns = map(list, zip(*rows, strict=True))
        tokens = self.tokenizer(*columns, truncation="longest_first", max_length=self.max_length)
        return padded(tokens, int(self.tokenizer.pad_token_id or 0))


def device_of(encoder: Encoder | OnnxEncoder) -> torch.device:
    """Where the student's weights are; an exported one is on the CPU."""
    if isinstance(encoder, OnnxEncoder):
        return torch.device("cpu")
    return next(encoder.parameters()).device
