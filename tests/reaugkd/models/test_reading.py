"""Checkpoints that cannot be read, or not whole: one line that names them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel

from reaugkd.errors import ModelError
from reaugkd.models.encoder import Encoder
from reaugkd.models.spec import ModelSpec, load_backbone, load_config, load_tokenizer
from reaugkd.tasks import mini
from tests import tiny

WORDS = len(mini.tokenizer())
Change = Callable[[Path], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = BertConfig(**tiny.config(), vocab_size=WORDS + 8)  # BERT's own adds [MASK]
    BertModel(config).save_pretrained(tmp_path / "checkpoint")
    mini.tokenizer().save_pretrained(tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def fields(file: str, **changes: Any) -> Change:
    def change(folder: Path) -> None:
        stored = json.loads((folder / file).read_text())
        for name, value in changes.items():
            stored[name] = value(stored[name]) if callable(value) else value
        (folder / file).write_text(json.dumps(stored))

    return change


def text(file: str, content: str) -> Change:
    return lambda folder: (folder / file).write_text(content)


def cut(file: str, left: int) -> Change:
    return lambda folder: (folder / file).write_bytes((folder / file).read_bytes()[:left])


def pickled(content: Any) -> Change:
    def change(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        torch.save(content, folder / "pytorch_model.bin")

    return change


def renamed(prefix: str) -> Change:
    def change(folder: Path) -> None:
        file = folder / "model.safetensors"
        weights = {prefix + name: weight for name, weight in load_file(file).items()}
        save_file(weights, file, {"format": "pt"})

    return change


def login_page(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_text("<html>sign in</html>")


def sharded(folder: Path) -> None:
    BertModel.from_pretrained(folder).save_pretrained(folder, max_shard_size="5KB")
    (folder / "model.safetensors").unlink(missing_ok=True)


def without_a_shard(folder: Path) -> None:
    sharded(folder)
    next(folder.glob("model-00002*.safetensors")).unlink()


UNREADABLE: dict[str, Change] = {
    "a newer tokenizer model": fields("tokenizer.json", model=lambda m: {**m, "type": "NewKind"}),
    "a newer pre-tokenizer": fields("tokenizer.json", pre_tokenizer={"type": "FromTheFuture"}),
    "a list of tokenizer settings": text("tokenizer_config.json", "[]"),
    "half a tokenizer": cut("tokenizer.json", 200),
    "a tokenizer that is no JSON": text("tokenizer.json", "<html>"),
    "a number for a token": fields("tokenizer_config.json", pad_token=[7]),
    "a list of fields": text("config.json", "[]"),
    "an empty config": text("config.json", ""),
    "a config that is no text": lambda folder: (folder / "config.json").write_bytes(
        b"\xff\xfe\x00"
    ),
    "a type that nobody knows": fields("config.json", model_type="bert3"),
    "a type that is a number": fields("config.json", model_type=3),
    "a size as text": fields("config.json", hidden_size="16"),
    "heads that do not divide": fields("config.json", num_attention_heads=3),
    "no heads": fields("config.json", num_attention_heads=0),
    "sizes that do not fit": fields("config.json", hidden_size=32),
    "an activation that nobody knows": fields("config.json", hidden_act="gelu9"),
    "no weights": lambda folder: (folder / "model.safetensors").unlink(),
    "half the weights": lambda f: cut("model.safetensors", 5000)(f),
    "a header of weights": cut("model.safetensors", 6),
    "a login page": login_page,
    "a training script's own": pickled({"state_dict": {}, "args": Path("x")}),
    "a list of weights": pickled([1, 2]),
    "a shard that is not there": without_a_shard,
    "layers that are not there": fields("config.json", num_hidden_layers=4),
    "names that nobody knows": renamed("x"),
    "names from a wrapped model with more layers": lambda folder: [
        change(folder) for change in (fields("config.json", num_hidden_layers=4), renamed("model."))
    ],
}


def load(folder: Path) -> None:
    """What the plan of a run does to a checkpoint."""
    spec = ModelSpec(source=str(folder))
    load_config(spec.location(), None)
    tokenizer = load_tokenizer(spec)
    load_backbone(spec, len(tokenizer), seed=0)


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_cannot_be_read_is_one_line_that_names_it(kind: str, folder: Path) -> None:
    UNREADABLE[kind](folder)
    with pytest.raises(ModelError, match=str(folder)) as raised:
        load(folder)
    assert "\n" not in str(raised.value)


def test_weights_that_lack_are_told_by_example(folder: Path) -> None:
    renamed("x")(folder)
    words = r"lacks \d+ of the weights that its config asks for, e\.g\. (\S+); among .* is x\1"
    with pytest.raises(ModelError, match=words):
        load(folder)


def half(folder: Path) -> None:
    file = folder / "model.safetensors"
    save_file({k: w.half() for k, w in load_file(file).items()}, file, {"format": "pt"})


def only(*kept: str) -> Change:
    def change(folder: Path) -> None:
        vocabulary = mini.tokenizer().get_vocab()
        words = sorted(vocabulary, key=lambda word: vocabulary[word])
        (folder / "vocab.txt").write_text("\n".join(words) + "\n")
        for file in folder.iterdir():
            if file.name not in ("config.json", "model.safetensors", *kept):
                file.unlink()

    return change


READABLE: dict[str, Change] = {
    "whole": lambda folder: None,
    "in shards": sharded,
    "pickled": lambda folder: pickled(load_file(folder / "model.safetensors"))(folder),
    "in half precision": half,
    **{f"under {name}": renamed(name) for name in ("module.", "_orig_mod.", "model.", "bert.")},
    "within a larger model": renamed("encoder.bert."),
    "with tokenizer.json alone": only("tokenizer.json"),
    "with vocab.txt alone": only("vocab.txt"),
}


@pytest.mark.parametrize("kind", READABLE)
def test_the_same_checkpoint_in_other_forms(kind: str, folder: Path) -> None:
    spec = ModelSpec(source=str(folder))
    plain = load_backbone(spec, WORDS, seed=0)
    READABLE[kind](folder)
    assert load_backbone(spec, len(load_tokenizer(spec)), seed=0).dtype == torch.float32
    other = load_backbone(spec, WORDS, seed=1).state_dict()
    for name, weight in plain.state_dict().items():
        assert torch.allclose(weight, other[name], atol=1e-3), name
    Encoder(load_backbone(spec, WORDS, seed=0), 2).save_pretrained(folder / "again")
    again = Encoder.from_pretrained(folder / "again").backbone.state_dict()
    assert all(torch.equal(weight, other[name]) for name, weight in again.items())


def test_a_folder_of_a_tokenizer_needs_no_model(tmp_path: Path) -> None:
    mini.tokenizer().save_pretrained(tmp_path)
    assert len(load_tokenizer(ModelSpec(source=str(tmp_path)))) == WORDS


def test_our_own_files_hold_every_weight_and_none_beyond(tmp_path: Path) -> None:
    tiny.encoder(pooling="pooler").save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    weights = load_file(file)
    save_file({k: w for k, w in weights.items() if "pooler" not in k}, file, {"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 2 of the weights.*pooler\.dense\.bias"):
        Encoder.from_pretrained(tmp_path)
    save_file({**weights, "more": torch.ones(2)}, file, {"format": "pt"})
    with pytest.raises(ModelError, match="no place for more"):
        Encoder.from_pretrained(tmp_path)
