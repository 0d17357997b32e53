"""The student that a measurement asks for: random weights of a shape, or a checkpoint."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.measure.job import FolderStudent, RandomStudent
from bench.measure.options import Shape, shape
from reaugkd.artifacts.store import ArtifactStore

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Untrained:
    """BERT of a shape with random weights.

    Attributes:
        label: in a few words.
        shape: layers and width.
        vocabulary: ids it knows.
        longest: tokens it takes.
    """

    label: str
    shape: Shape
    vocabulary: int = RandomStudent().vocabulary
    longest: int = 512

    @property
    def width(self) -> int:
        """Of the embedding."""
        return self.shape.width

    @property
    def identity(self) -> dict[str, Any]:
        """Its sizes."""
        return self._source.model_dump()

    @property
    def _source(self) -> RandomStudent:
        layers, width = self.shape
        return RandomStudent(
            width=width, layers=layers, heads=self.shape.heads, vocabulary=self.vocabulary
        )

    def source(self, store: ArtifactStore, classes: int) -> RandomStudent:
        """Nothing has to be stored for it."""
        return self._source


class Checkpoint:
    """A model that transformers can load, or a folder of a trained encoder.

    Latency depends neither on the head's weights nor on their training: it gets a fresh head of
    as many outputs as the knowledge base has values. Attributes as :class:`Untrained`.

    Raises:
        ModelError: naming the model that cannot be found.
    """

    def __init__(self, text: str) -> None:
        from reaugkd.models.encoder import ENCODER_FILE
        from reaugkd.models.spec import ModelSpec, load_config

        self.spec = ModelSpec.parse(text)
        config = load_config(self.spec.location(), self.spec.revision)
        stored = Path(self.spec.location(), ENCODER_FILE)
        own = json.loads(stored.read_text(encoding="utf-8")) if stored.is_file() else {}
        self._pooling = own.get("pooling", "cls")
        named = self.spec.describe()
        self.label = Path(named).name if Path(named).is_absolute() else named
        self.identity: dict[str, Any] = {**self.spec.identity(), "pooling": self._pooling}
        self.width = int(config.hidden_size)
        self.vocabulary = int(config.vocab_size)
        self.longest = int(getattr(config, "max_position_embeddings", 512))

    def source(self, store: ArtifactStore, classes: int) -> FolderStudent:
        """The encoder, written once below ``store``."""
        from reaugkd.models.spec import build_student

        def build(folder: Path) -> None:
            build_student(
                self.spec, self.spec, None, self.vocabulary, classes, self._pooling, seed=0
            ).save_pretrained(folder)

        identity = {"model": self.identity, "outputs": classes}
        return FolderStudent(path=str(store.get("measured-student", identity, build).path))

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer beside it.

        Raises:
            ModelError: if there is none.
        """
        from reaugkd.models.spec import ModelSpec, load_tokenizer

        return load_tokenizer(ModelSpec(source=self.spec.source, revision=self.spec.revision))


Student = Untrained | Checkpoint


def find(text: str) -> Student:
    """The student of ``--student``.

    Raises:
        UserError: for a shape that cannot be or a checkpoint that is not there.
    """
    found = shape(text)
    return Untrained(text.lower(), found) if found else Checkpoint(text)
