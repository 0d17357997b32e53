"""Where a model comes from: a hub name, a path, a package, a config, or the teacher's layers."""

from __future__ import annotations

import os.path
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from reaugkd.artifacts import fingerprint
from reaugkd.errors import ModelError
from reaugkd.models import layers as of_layers
from reaugkd.models.configuration import config_of
from reaugkd.models.layers import Layers, numbers_of
from reaugkd.models.reading import reading
from reaugkd.paths import expanded

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from reaugkd.models.encoder import Encoder
    from reaugkd.models.recipe import Pooling

WEIGHTS = ("*.safetensors", "*.bin", "*.json", "*.txt", "*.model")
TEACHER, PRETRAINED, CONFIG = "teacher", "pretrained", "config"
SIZES = (
    *("hidden_size", "intermediate_size", "hidden_dim", "embedding_size", "num_attention_heads"),
    *("vocab_size", "hidden_act", "hidden_dropout_prob", "attention_probs_dropout_prob"),
)
"""Fields of configurations on which the time of a step depends, besides type and layers."""

MODEL_FILES = ("config.json",)
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "config.json")


class ModelSpec(BaseModel):
    """A source of weights and the layers taken from it.

    As text, on the command line and in settings: ``NAME_OR_PATH``, ``NAME_OR_PATH@0,2,4`` (a
    subset of layers, 0-based), ``NAME_OR_PATH@bottom:3``, ``@spread:3`` or ``@top:3`` (see
    :mod:`reaugkd.models.layers`), ``teacher@0,2,4`` (layers of the fine-tuned teacher),
    ``pretrained@0,2,4`` (layers of the checkpoint the teacher started from),
    ``package:NAME/FOLDER`` (in an installed Python package).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(description="hub name, path, package:..., teacher, pretrained or config")
    layers: Layers | None = Field(
        None, description="0-based layers to keep, or bottom:N, spread:N, top:N; all by default"
    )
    config: dict[str, Any] | None = Field(None, description="config fields, for source = 'config'")
    revision: str | None = Field(None, description="hub revision; the newest by default")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return dict(cls.parse(value)) if isinstance(value, str) else value

    @field_validator("layers", mode="before")
    @classmethod
    def _some_layers(cls, layers: Any) -> Layers | None:
        return None if layers is None else of_layers.checked(layers)

    @classmethod
    def parse(cls, text: str) -> ModelSpec:
        """Read the command line's form; a ModelError tells what comes after ``@``.

        An ``@`` inside a path is part of it: where a file of the whole name exists, or a folder
        follows.

        >>> ModelSpec.parse("teacher@0,2,4").layers
        (0, 2, 4)
        >>> ModelSpec.parse("teacher@bottom:3").layers
        'bottom:3'
        >>> ModelSpec.parse("/data/a@b/model").source
        '/data/a@b/model'
        """
        source, at, layers = text.rpartition("@")
        of_teacher = source in (TEACHER, PRETRAINED)
        in_path = "/" in layers or os.path.exists(expanded(text))  # noqa: PTH110  it never raises
        if not at or (in_path and not of_teacher):
            return cls(source=text)
        try:
            return cls(source=source, layers=of_layers.parse(layers))
        except ValueError as error:
            raise ModelError(f"model '{text}': after '@' come {of_layers.WANTED}") from error

    def describe(self, teacher: ModelSpec | None = None) -> str:
        """The initialisation in a few words, for records and tables.

        >>> ModelSpec.parse("pretrained@0,2").describe(ModelSpec(source="org/bert"))
        'org/bert@0,2'
        >>> ModelSpec.parse("teacher@0,2").describe(ModelSpec(source="org/bert"))
        'org/bert, fine-tuned@0,2'
        """
        if self.source == CONFIG:
            fields = self.config or {}
            depth, width = fields.get("num_hidden_layers", "?"), fields.get("hidden_size", "?")
            return f"random weights, {depth} layers, {width} wide"
        name = self.source.removeprefix("package:")
        if teacher is not None and self.source in (TEACHER, PRETRAINED):
            tuned = ", fine-tuned" if self.source == TEACHER else ""
            name = teacher.describe() + tuned
        elif self.revision is not None:
            name += f" ({self.revision[:12]})"
        return name if self.layers is None else f"{name}@{of_layers.shown(self.layers)}"

    def location(self, expected: Sequence[str] = MODEL_FILES) -> str:
        """What transformers can load: an absolute path, or the hub name as it stands.

        A ModelError tells that a folder holds none of the files ``expected``.
        """
        if self.source.startswith("package:"):
            package, _, folder = self.source.removeprefix("package:").partition("/")
            # The top package alone: looking for a part of it would import it.
            module = find_spec(package) if package.isidentifier() else None
            if module is None or not module.submodule_search_locations:
                name = package.replace("_", "-")
                raise ModelError(f"model {self.source}: pip install {name} brings the package")
            path = Path(module.submodule_search_locations[0]) / folder
        else:
            path = expanded(self.source)
            looks_like_path = self.source.startswith((".", "/", "~")) or self.source.count("/") > 1
            if not path.exists() and not looks_like_path:
                return self.source
        if not any((path / name).is_file() for name in expected):
            raise ModelError(f"no model at {path}: expected {path / expected[0]}")
        return str(path.resolve())

    def explicit(self, teacher: ModelSpec | None = None) -> ModelSpec:
        """The same layers as numbers; ``teacher`` is what ``teacher`` and ``pretrained`` mean.

        A rule and the numbers that it stands for are one model, under one key. A ModelError tells
        of more layers than there are, or of a checkpoint whose depth cannot be read.
        """
        if not isinstance(self.layers, str):
            return self
        try:
            layers = numbers_of(self.layers, self._depth(teacher))
        except ModelError as error:
            raise ModelError(f"model '{self.describe(teacher)}': {error}") from error
        return self.model_copy(update={"layers": layers})

    def kept(self, teacher: ModelSpec | None = None) -> int:
        """How many layers the model has."""
        layers = self.explicit(teacher).layers
        return self._depth(teacher) if layers is None else len(layers)

    def _depth(self, teacher: ModelSpec | None) -> int:
        """How many layers there are to choose from."""
        if self.source == TEACHER and teacher is not None:
            return teacher.kept()
        depth = getattr(self._config(teacher), "num_hidden_layers", None)
        if not isinstance(depth, int):
            raise ModelError("its config names no number of layers")
        return depth

    def _config(self, teacher: ModelSpec | None) -> PretrainedConfig:
        """The configuration of the model whose layers there are to choose from."""
        if self.source in (TEACHER, PRETRAINED):
            if teacher is None:
                raise ModelError("there is no teacher to take layers from")
            return teacher._config(None)
        if self.source == CONFIG:
            return config_of(self.config or {})
        return load_config(self.location(), self.revision)

    def architecture(self, teacher: ModelSpec | None = None) -> dict[str, Any]:
        """Plain JSON of what makes a model slow or fast, whatever its weights; none are loaded.

        >>> fields = {"num_hidden_layers": 2, "hidden_size": 64}
        >>> ModelSpec(source="config", config=fields, layers=(1,)).architecture()["layers"]
        1
        """
        config = self._config(teacher)
        sizes = {name: getattr(config, name, None) for name in SIZES}
        there = {name: value for name, value in sizes.items() if value is not None}
        return {"type": config.model_type, "layers": self.kept(teacher), **there}

    def identity(self) -> dict[str, Any]:
        """Plain JSON that decides the weights, independent of where a local folder lies."""
        if self.source in (TEACHER, PRETRAINED):
            origin: Any = self.source
        elif self.source == CONFIG:
            origin = {"config": self.config or {}}
        else:
            location = self.location()
            path = Path(location)
            local = path.is_dir()
            origin = {"files": _files(path)} if local else {"hub": _commit(location, self.revision)}
        layers = self.layers
        if isinstance(layers, str) and self.source not in (TEACHER, PRETRAINED):
            layers = numbers_of(layers, self._depth(None))
        return {"origin": origin, "layers": list(layers) if isinstance(layers, tuple) else layers}


@cache
def _files(folder: Path) -> str:
    return fingerprint.of_files(p for pattern in WEIGHTS for p in folder.glob(pattern))


@cache
def _commit(name: str, revision: str | None) -> list[str]:
    """Hub name and the commit that ``revision`` (by default the newest) stands for now."""
    config = load_config(name, revision)
    return [name, str(getattr(config, "_commit_hash", None) or revision)]


def load_config(location: str, revision: str | None) -> PretrainedConfig:
    """The config of a checkpoint; ModelError if it cannot be loaded."""
    from transformers import AutoConfig

    with reading(f"model '{location}'"):
        return AutoConfig.from_pretrained(location, revision=revision or "main")


def load_backbone(spec: ModelSpec, vocabulary: int, seed: int, pad_id: int = 0) -> PreTrainedModel:
    """The backbone of a spec that does not refer to another model.

    ``vocabulary`` is the number of ids that the tokenizer can produce, ``pad_id`` its padding. The
    seed is of random weights, those of a pooler that a checkpoint lacks too; the global generator
    is left as it was. A ModelError tells that it cannot be loaded, lacks weights or that its
    vocabulary is too small.
    """
    import torch

    from reaugkd.models.encoder import keep_layers, load_pretrained, random_backbone

    if spec.source == CONFIG:
        backbone = random_backbone(spec.config or {}, vocabulary, seed, pad_id)
    else:
        location = spec.location()
        with reading(f"model '{spec.source}'"), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            backbone = load_pretrained(location, revision=spec.revision or "main")
    known = getattr(backbone.config, "vocab_size", 0)
    if known < vocabulary:
        raise ModelError(
            f"model '{spec.source}' knows {known} tokens, "
            f"but the tokenizer produces {vocabulary}: they do not belong together"
        )
    if spec.layers is not None:
        keep_layers(backbone, spec.layers)
    return backbone


def load_tokenizer(spec: ModelSpec) -> PreTrainedTokenizerBase:
    """The tokenizer that lies beside a checkpoint; ModelError if there is none."""
    from transformers import AutoTokenizer

    location = spec.location(TOKENIZER_FILES)
    with reading(f"the tokenizer of '{spec.source}'"):
        tokenizer = AutoTokenizer.from_pretrained(location, revision=spec.revision or "main")
        words = len(tokenizer) - len(tokenizer.all_special_tokens)
    if words <= 0:
        # transformers makes up a tokenizer without a vocabulary where there are no files.
        raise ModelError(f"no tokenizer beside '{spec.source}': its vocabulary is empty")
    return tokenizer


def labels_of(spec: ModelSpec) -> int | None:
    """Number of labels of a checkpoint that carries a classification head, else None."""
    if spec.source in (TEACHER, PRETRAINED, CONFIG):
        return None
    config = load_config(spec.location(), spec.revision)
    heads = [name for name in config.architectures or [] if "SequenceClassification" in name]
    return int(config.num_labels) if heads else None


def build_student(
    spec: ModelSpec,
    teacher: ModelSpec,
    fine_tuned: Encoder | None,
    vocabulary: int,
    outputs: int,
    pooling: Pooling,
    seed: int,
    pad_id: int = 0,
) -> Encoder:
    """A fresh student.

    ``pretrained`` refers to ``teacher``, ``teacher`` to ``fine_tuned``, whose layers are copied,
    never shared. The other arguments are as in :func:`load_backbone`; the seed is the head's too.
    """
    from copy import deepcopy

    import torch

    from reaugkd.models.encoder import Encoder, keep_layers

    if spec.source == TEACHER:
        if fine_tuned is None:
            raise ModelError("student 'teacher@...': this run has no fine-tuned teacher")
        backbone = deepcopy(fine_tuned.backbone)
        if spec.layers is not None:
            keep_layers(backbone, spec.layers)
    elif spec.source == PRETRAINED:
        origin = teacher.model_copy(update={"layers": spec.layers})
        backbone = load_backbone(origin, vocabulary, seed, pad_id)
    else:
        backbone = load_backbone(spec, vocabulary, seed, pad_id)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Encoder(backbone, outputs, pooling).train()
