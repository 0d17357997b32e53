"""Where a model comes from: a hub name, a path, a package, a config, or the teacher's layers."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from reaugkd.artifacts import fingerprint
from reaugkd.errors import ModelError

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from reaugkd.models.encoder import Encoder
    from reaugkd.models.recipe import Pooling

WEIGHTS = ("*.safetensors", "*.bin", "*.json", "*.txt", "*.model")
TEACHER, PRETRAINED, CONFIG = "teacher", "pretrained", "config"


class ModelSpec(BaseModel):
    """A source of weights and the layers taken from it.

    On the command line: ``NAME_OR_PATH``, ``NAME_OR_PATH@0,2,4`` (a subset of layers, 0-based),
    ``teacher@0,2,4`` (layers of the fine-tuned teacher), ``pretrained@0,2,4`` (layers of the
    checkpoint the teacher started from), ``package:NAME/FOLDER`` (in an installed Python package).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str = Field(description="hub name, path, package:..., teacher, pretrained or config")
    layers: tuple[int, ...] | None = Field(
        None, description="0-based layers to keep; all by default"
    )
    config: dict[str, Any] | None = Field(None, description="config fields, for source = 'config'")
    revision: str | None = Field(None, description="hub revision; the newest by default")

    @field_validator("layers")
    @classmethod
    def _some_layers(cls, layers: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if layers is not None and (not layers or min(layers) < 0):
            raise ValueError("layers are 0-based and at least one")
        if layers is not None and len(set(layers)) < len(layers):
            raise ValueError(f"layers {list(layers)}: each layer can be taken once")
        return layers

    @classmethod
    def parse(cls, text: str) -> ModelSpec:
        """Read the command line's form; a ModelError tells what comes after ``@``.

        >>> ModelSpec.parse("teacher@0,2,4").layers
        (0, 2, 4)
        """
        source, at, layers = text.rpartition("@")
        if not at:
            return cls(source=text)
        try:
            return cls(source=source, layers=tuple(int(part) for part in layers.split(",")))
        except ValueError as error:
            raise ModelError(
                f"model '{text}': after '@' come layer numbers like 0,2,4, each once"
            ) from error

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
        return name if self.layers is None else f"{name}@{','.join(map(str, self.layers))}"

    def location(self) -> str:
        """What transformers can load: an absolute path, or the hub name as it stands."""
        if self.source.startswith("package:"):
            package, _, folder = self.source.removeprefix("package:").partition("/")
            # The top package alone: looking for a part of it would import it.
            module = find_spec(package) if package.isidentifier() else None
            if module is None or not module.submodule_search_locations:
                name = package.replace("_", "-")
                raise ModelError(f"model {self.source}: pip install {name} brings the package")
            path = Path(module.submodule_search_locations[0]) / folder
        else:
            path = Path(self.source).expanduser()
            looks_like_path = self.source.startswith((".", "/", "~")) or self.source.count("/") > 1
            if not path.exists() and not looks_like_path:
                return self.source
        if not (path / "config.json").is_file():
            raise ModelError(f"no model at {path}: expected {path / 'config.json'}")
        return str(path.resolve())

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
        return {"origin": origin, "layers": list(self.layers) if self.layers else None}


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

    try:
        return AutoConfig.from_pretrained(location, revision=revision or "main")
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"cannot load model '{location}': {reason}") from error


def load_backbone(spec: ModelSpec, vocabulary: int, seed: int, pad_id: int = 0) -> PreTrainedModel:
    """The backbone of a spec that does not refer to another model.

    ``vocabulary`` is the number of ids that the tokenizer can produce, ``pad_id`` its padding. The
    seed is of random weights, those that a checkpoint lacks too; the global generator is left as it
    was. A ModelError tells that it cannot be loaded or that its vocabulary is too small.
    """
    import torch
    from safetensors import SafetensorError

    from reaugkd.models.encoder import keep_layers, load_pretrained, random_backbone

    if spec.source == CONFIG:
        backbone = random_backbone(spec.config or {}, vocabulary, seed, pad_id)
    else:
        location = spec.location()
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                backbone = load_pretrained(location, revision=spec.revision or "main")
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelError(f"cannot load model '{spec.source}': {reason}") from error
    if backbone.config.vocab_size < vocabulary:
        raise ModelError(
            f"model '{spec.source}' knows {backbone.config.vocab_size} tokens, "
            f"but the tokenizer produces {vocabulary}: they do not belong together"
        )
    if spec.layers is not None:
        keep_layers(backbone, spec.layers)
    return backbone


def load_tokenizer(spec: ModelSpec) -> PreTrainedTokenizerBase:
    """The tokenizer that lies beside a checkpoint; ModelError if there is none."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(spec.location(), revision=spec.revision or "main")
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"cannot load the tokenizer of '{spec.source}': {reason}") from error
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
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
