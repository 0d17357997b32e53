"""Every class of encoder, as teacher and as student, whole and by layers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from baselines.branches import tail
from baselines.kd import KD, KDSettings
from reaugkd.errors import ModelError
from reaugkd.models import layers as of_layers
from reaugkd.models.encoder import Encoder, layers_of
from reaugkd.models.layers import Layers
from reaugkd.models.probe import prove
from tests import architectures, tiny
from tests.architectures import CLASSES, DEPTH

TEXT = [2, 7, 9, 12, 5, 30, 8, 3]
PARTS: tuple[Layers | None, ...] = (None, (0, 2), (0, 3, 1), "bottom:1")
each_class = pytest.mark.parametrize("name", CLASSES)


@each_class
@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("layers", PARTS, ids=str)
def test_a_random_one_is_proved(name: str, pooling: str, layers: Layers | None) -> None:
    encoder = architectures.encoder(name, pooling, layers)
    prove(encoder, name, TEXT, tiny.VOCABULARY, architectures.pad_id(name))


@each_class
@pytest.mark.parametrize("layers", PARTS, ids=str)
def test_saved_and_loaded_it_answers_the_same(
    name: str, layers: Layers | None, tmp_path: Path
) -> None:
    encoder = architectures.encoder(name, layers=layers)
    encoder.save_pretrained(tmp_path)
    loaded = Encoder.from_pretrained(tmp_path)
    ids = torch.tensor([TEXT])
    expected, found = (one(ids, torch.ones_like(ids), states=True) for one in (encoder, loaded))
    assert torch.equal(expected.logits, found.logits)
    assert torch.equal(expected.states, found.states)


@each_class
def test_the_layers_that_are_kept_are_those_that_were_asked_for(name: str) -> None:
    whole, cut = architectures.encoder(name), architectures.encoder(name, layers=(0, 2))
    assert (whole.depth, cut.depth) == (DEPTH, 2)
    if name == "albert":  # its layers are one
        return
    stacks = [getattr(owner, part) for owner, part in (layers_of(m.backbone) for m in (whole, cut))]
    for kept, number in zip(stacks[1], (0, 2), strict=True):
        assert tiny.same_weights(kept, stacks[0][number])


@each_class
def test_the_first_layers_see_what_they_saw(name: str) -> None:
    """The states of the bottom are those of the whole, but for what comes after the last layer."""
    whole, cut = architectures.encoder(name), architectures.encoder(name, layers="bottom:3")
    ids = torch.tensor([TEXT])
    first, second = (one(ids, torch.ones_like(ids), states=True).states for one in (whole, cut))
    assert torch.allclose(first[:, :3], second[:, :3], atol=1e-6)


@each_class
@pytest.mark.parametrize("role", ["teacher", "student"])
def test_it_teaches_and_learns(name: str, role: str, tmp_path: Path) -> None:
    config = {f"{role}_fields": architectures.fields(name)}
    context = tiny.context(tmp_path, **config)
    before = context.models.student(2)
    student = tiny.distilled(KD(KDSettings()), context, tmp_path / "run")
    assert not tiny.same_weights(before.backbone, student.backbone)
    assert all(parameter.isfinite().all() for parameter in student.parameters())


@each_class
def test_a_branch_goes_on_where_the_student_was(name: str) -> None:
    student = architectures.encoder(name)
    ids = torch.tensor([TEXT])
    mask = torch.ones_like(ids)
    output = student(ids, mask, states=True)
    rest = tail(student, 2)
    again = rest(None, mask, inputs_embeds=output.hidden[2])
    assert torch.allclose(output.logits, again.logits, atol=1e-5)


def test_kinds_of_attention_stay_with_their_layers(tmp_path: Path) -> None:
    """ModernBERT attends to all tokens in every third layer, counted in the whole model."""
    encoder = architectures.encoder("modernbert", layers=(0, 3, 1))
    encoder.save_pretrained(tmp_path)
    types = Encoder.from_pretrained(tmp_path).backbone.config.layer_types
    assert types == ["full_attention", "full_attention", "sliding_attention"]


def test_lists_that_are_as_long_by_chance_are_left_alone() -> None:
    encoder = architectures.encoder("deberta-v3", layers=(0,), num_hidden_layers=2)
    assert encoder.backbone.config.pos_att_type == ["c2p", "p2c"]


def test_layers_that_share_weights_in_groups_cannot_be_chosen() -> None:
    with pytest.raises(ModelError, match="4 layers share 2 groups of weights"):
        architectures.encoder("albert", layers=(0, 2), num_hidden_groups=2)


@pytest.mark.parametrize("layers", ["bottom:5", "top:5", "spread:5", (0, 4)])
def test_more_layers_than_there_are(layers: Layers) -> None:
    with pytest.raises(ModelError, match=r"only 4 layers|layers 0 to 3"):
        architectures.encoder("bert", layers=layers)


@pytest.mark.parametrize("rule", of_layers.RULES)
@pytest.mark.parametrize(("count", "depth"), [(1, 1), (3, 6), (6, 12), (5, 7), (7, 7)])
def test_a_rule_takes_so_many_layers_in_order(rule: str, count: int, depth: int) -> None:
    numbers = of_layers.numbers_of(f"{rule}:{count}", depth)
    assert len(numbers) == count
    assert list(numbers) == sorted(set(numbers))
    assert min(numbers) >= 0
    assert max(numbers) < depth
