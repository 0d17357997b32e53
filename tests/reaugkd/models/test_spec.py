"""Where models come from, and how a wrong source is told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from pydantic import ValidationError
from transformers import AutoModelForSequenceClassification, BertConfig

from reaugkd.errors import ModelError
from reaugkd.models import spec as model_spec
from reaugkd.models.encoder import layers_of
from reaugkd.models.layers import Layers
from reaugkd.models.spec import ModelSpec, build_student, labels_of, load_backbone, load_tokenizer
from tests import tiny


@pytest.fixture
def checkpoint(tmp_path: Path) -> ModelSpec:
    tiny.encoder(num_hidden_layers=3).backbone.save_pretrained(tmp_path / "model")
    return ModelSpec(source=str(tmp_path / "model"))


def student(spec: ModelSpec, teacher: ModelSpec, fine_tuned: object = None, seed: int = 0):  # type: ignore[no-untyped-def]
    return build_student(
        spec, teacher, fine_tuned, vocabulary=40, outputs=2, pooling="cls", seed=seed
    )


@pytest.mark.parametrize(
    ("text", "source", "layers"),
    [
        ("org/name", "org/name", None),
        ("teacher@0,2", "teacher", (0, 2)),
        ("/a/b@c/d@1", "/a/b@c/d", (1,)),
        ("/a/b@c/d", "/a/b@c/d", None),
        ("org/name@spread:3", "org/name", "spread:3"),
        ("pretrained@top:1", "pretrained", "top:1"),
    ],
)
def test_command_line_form(text: str, source: str, layers: Layers | None) -> None:
    spec = ModelSpec.parse(text)
    assert (spec.source, spec.layers) == (source, layers)


@pytest.mark.parametrize(
    "text", ["m@", "m@x", "m@-1", "m@0,,1", "m@top", "m@top:0", "teacher@0,x", "m@middle:2"]
)
def test_bad_layers_are_told(text: str) -> None:
    with pytest.raises((ModelError, ValidationError), match="layer"):
        ModelSpec.parse(text)


def test_a_folder_with_an_at_in_its_name_is_a_folder(checkpoint: ModelSpec) -> None:
    odd = Path(checkpoint.source).rename(Path(checkpoint.source).with_name("model@0"))
    assert ModelSpec.parse(str(odd)) == ModelSpec(source=str(odd))
    assert ModelSpec.parse(f"{odd}@0,1") == ModelSpec(source=str(odd), layers=(0, 1))


@pytest.mark.parametrize(("rule", "numbers"), [("bottom:2", (0, 1)), ("top:2", (1, 2))])
def test_a_rule_is_the_numbers_that_it_stands_for(
    rule: str, numbers: tuple[int, ...], checkpoint: ModelSpec
) -> None:
    by_rule = checkpoint.model_copy(update={"layers": rule})
    by_number = checkpoint.model_copy(update={"layers": numbers})
    assert by_rule.explicit() == by_number
    assert by_rule.identity() == by_number.identity()
    assert (by_rule.kept(), checkpoint.kept()) == (2, 3)
    assert tiny.same_weights(load_backbone(by_rule, 40, 0), load_backbone(by_number, 40, 0))
    with pytest.raises(ModelError, match="only 3 layers"):
        checkpoint.model_copy(update={"layers": "top:4"}).explicit()


def test_pretrained_layers_are_the_teachers_starting_point(checkpoint: ModelSpec) -> None:
    whole = load_backbone(checkpoint, 40, seed=0)
    made = student(ModelSpec(source="pretrained", layers=(0, 2)), checkpoint).backbone
    (owner, name), (mine, own) = layers_of(whole), layers_of(made)
    for kept, original in zip(getattr(mine, own), (0, 2), strict=True):
        assert tiny.same_weights(kept, getattr(owner, name)[original])
    assert tiny.same_weights(made.embeddings, whole.embeddings)


def test_teacher_layers_are_copied_never_shared(checkpoint: ModelSpec) -> None:
    teacher = tiny.encoder(seed=5, num_hidden_layers=3)
    made = student(ModelSpec(source="teacher", layers=(2,)), checkpoint, teacher)
    (owner, name), (mine, own) = layers_of(teacher.backbone), layers_of(made.backbone)
    assert tiny.same_weights(getattr(mine, own)[0], getattr(owner, name)[2])
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.zero_()
    assert all(p.abs().sum() > 0 for p in getattr(owner, name)[2].parameters() if p.ndim > 1)
    assert teacher.backbone.config.num_hidden_layers == 3


def test_identity_is_the_content_not_the_place(checkpoint: ModelSpec, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    Path(checkpoint.source).rename(moved)
    other = tmp_path / "other"
    tiny.encoder(seed=9, num_hidden_layers=3).backbone.save_pretrained(other)
    here = ModelSpec(source=str(moved)).identity()
    again = tmp_path / "again"
    again.mkdir()
    for file in moved.iterdir():
        (again / file.name).write_bytes(file.read_bytes())
    assert ModelSpec(source=str(again)).identity() == here
    assert ModelSpec(source=str(other)).identity() != here
    assert ModelSpec(source=str(moved), layers=(0,)).identity() != here


def test_missing_path_names_what_was_wanted(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"absent/config\.json"):
        load_backbone(ModelSpec(source=str(tmp_path / "absent")), 40, seed=0)
    with pytest.raises(ModelError, match="pip install no-such-thing"):
        load_backbone(ModelSpec(source="package:no_such_thing/model"), 40, seed=0)
    with pytest.raises(ModelError, match=r"nope\.sub"):
        load_backbone(ModelSpec(source="package:nope.sub/model"), 40, seed=0)


def test_hub_name_without_a_hub_is_one_clear_line() -> None:
    with pytest.raises(ModelError, match="no-such-org/no-such-model") as raised:
        load_backbone(ModelSpec(source="no-such-org/no-such-model"), 40, seed=0)
    assert "\n" not in str(raised.value)


def test_vocabulary_smaller_than_the_tokenizers_is_refused(checkpoint: ModelSpec) -> None:
    with pytest.raises(ModelError, match="knows 40 tokens, but the tokenizer produces 50"):
        load_backbone(checkpoint, 50, seed=0)


def test_checkpoint_without_tokenizer_is_refused(checkpoint: ModelSpec) -> None:
    with pytest.raises(ModelError, match="tokenizer"):
        load_tokenizer(checkpoint)


def test_hub_model_is_identified_by_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"main": "c1", "v2": "c2"}

    def load_config(name: str, revision: str | None) -> SimpleNamespace:
        return SimpleNamespace(_commit_hash=found[revision or "main"])

    monkeypatch.setattr(model_spec, "load_config", load_config)
    model_spec._commit.cache_clear()
    newest, pinned = ModelSpec(source="org/model"), ModelSpec(source="org/model", revision="v2")
    assert newest.identity()["origin"] == {"hub": ["org/model", "c1"]}
    assert pinned.identity()["origin"] == {"hub": ["org/model", "c2"]}
    found["main"] = "c3"
    model_spec._commit.cache_clear()
    assert newest.identity()["origin"] == {"hub": ["org/model", "c3"]}
    model_spec._commit.cache_clear()


def test_weights_that_a_checkpoint_lacks_come_from_the_seed(tmp_path: Path) -> None:
    """A checkpoint without pooler, used with one: its pooler is drawn, not left to chance."""
    tiny.encoder().backbone.save_pretrained(tmp_path / "m")
    spec = ModelSpec(source=str(tmp_path / "m"))

    def pooler(seed: int) -> torch.Tensor:
        made = build_student(spec, spec, None, 40, 2, "pooler", seed)
        return made.backbone.pooler.dense.weight

    first = pooler(3)
    torch.rand(7)
    assert torch.equal(first, pooler(3))
    assert not torch.equal(first, pooler(4))


def test_truncated_weights_are_one_clear_line(checkpoint: ModelSpec) -> None:
    weights = Path(checkpoint.source) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ModelError, match="cannot load model"):
        load_backbone(checkpoint, 40, seed=0)


def test_label_count_of_a_classifier(tmp_path: Path, checkpoint: ModelSpec) -> None:
    config = BertConfig(**tiny.config(), vocab_size=40, num_labels=3)
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path / "c")
    assert labels_of(ModelSpec(source=str(tmp_path / "c"))) == 3
    assert labels_of(checkpoint) is None
