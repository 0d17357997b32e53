"""The student that a measurement asks for: random weights of a shape, or a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.measure.job import FolderStudent, RandomStudent
from reaugkd.artifacts.store import ArtifactStore

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LONGEST = 512
"""Tokens that BERT takes."""


@dataclass(frozen=True)
class MeasuredStudent:
    """A student that takes ``longest`` tokens, not necessarily written yet."""

    label: str
    identity: Mapping[str, Any]
    width: int
    vocabulary: int
    longest: int
    source: Callable[[ArtifactStore, int], RandomStudent | FolderStudent]
    """Makes or finds it below a store, with so many outputs."""
    tokenizer: Callable[[], PreTrainedTokenizerBase] | None = None
    """Loads the tokenizer beside it; None for random weights."""


def find(text: str) -> MeasuredStudent:
    """The student of ``--student``.

    Raises:
        UserError: for a shape that cannot be or a checkpoint that is not there.
    """
    student = RandomStudent.parse(text)
    if student is None:
        return _checkpoint(text)
    return MeasuredStudent(
        label=text.lower(),
        identity=student.model_dump(),
        width=student.width,
        vocabulary=student.vocabulary,
        longest=LONGEST,
        source=lambda store, outputs: student,
    )


def _checkpoint(text: str) -> MeasuredStudent:
    """A model that transformers can load, or a folder of a trained encoder.

    Latency depends neither on the head's weights nor on their training: it gets a fresh head of
    as many outputs as the knowledge base has values.
    """
    from reaugkd.models.encoder import ENCODER_FILE
    from reaugkd.models.spec import ModelSpec, build_student, load_config, load_tokenizer

    spec = ModelSpec.parse(text)
    config = load_config(spec.location(), spec.revision)
    stored = Path(spec.location(), ENCODER_FILE)
    settings = json.loads(stored.read_text(encoding="utf-8")) if stored.is_file() else {}
    pooling = settings.get("pooling", "cls")
    identity = {**spec.identity(), "pooling": pooling}
    vocabulary = int(config.vocab_size)

    def source(store: ArtifactStore, outputs: int) -> FolderStudent:
        def build(folder: Path) -> None:
            student = build_student(spec, spec, None, vocabulary, outputs, pooling, seed=0)
            student.save_pretrained(folder)

        key = {"model": identity, "outputs": outputs}
        return FolderStudent(path=str(store.get("measured-student", key, build).path))

    name = spec.describe()
    return MeasuredStudent(
        label=Path(name).name if Path(name).is_absolute() else name,
        identity=identity,
        width=int(config.hidden_size),
        vocabulary=vocabulary,
        longest=int(getattr(config, "max_position_embeddings", LONGEST)),
        source=source,
        tokenizer=lambda: load_tokenizer(ModelSpec(source=spec.source, revision=spec.revision)),
    )
