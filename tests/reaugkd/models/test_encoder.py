"""Encoders of the BERT family: pooling, padding, layers, attention, saving."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from reaugkd.errors import ModelError
from reaugkd.models import attention
from reaugkd.models.encoder import Encoder, keep_layers, layers_of, pool, random_backbone
from tests import tiny

FAMILY = {
    "bert": tiny.config(),
    "roberta": tiny.config(model_type="roberta", pad_token_id=1),
    "mpnet": tiny.config(model_type="mpnet", pad_token_id=1),
    "distilbert": {"model_type": "distilbert", "dim": 16, "n_layers": 2, "n_heads": 2}
    | {"hidden_dim": 32, "max_position_embeddings": 32},
}


def batch(pad: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.tensor([[3, 7, 9, 4, 8], [5, 6, 7, pad, pad]])
    return ids, torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


@pytest.mark.parametrize("family", FAMILY)
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_padding_changes_nothing(family: str, pooling: str) -> None:
    encoder = Encoder(random_backbone(FAMILY[family], 40, seed=0), 2, pooling).eval().double()
    ids, mask = batch(pad=1)
    padded = encoder(ids, mask)
    alone = encoder(ids[1:, :3], mask[1:, :3])
    assert torch.allclose(padded.logits[1:], alone.logits, atol=1e-12)
    assert torch.allclose(padded.embedding[1:], alone.embedding, atol=1e-12)


@pytest.mark.parametrize(
    ("family", "typed"), [("bert", True), ("distilbert", False), ("mpnet", False)]
)
def test_token_types_reach_those_who_tell_segments_apart(family: str, typed: bool) -> None:
    encoder = Encoder(random_backbone(FAMILY[family], 40, seed=0), 2, "cls").eval()
    ids, mask = batch(1)
    first, second = (
        encoder(ids, mask, token_type_ids=torch.full_like(ids, kind)).logits for kind in (0, 1)
    )
    assert torch.equal(first, encoder(ids, mask).logits)
    assert torch.equal(first, second) != typed


@pytest.mark.parametrize("family", FAMILY)
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_padding_may_stand_on_the_left(family: str, pooling: str) -> None:
    encoder = Encoder(random_backbone(FAMILY[family], 40, seed=0), 2, pooling).eval()
    (ids, mask), left = batch(pad=1), torch.tensor([[0, 1, 2, 3, 4], [3, 4, 0, 1, 2]])
    types = torch.zeros_like(ids)
    right = encoder(ids, mask, token_type_ids=types, states=True)
    turned = encoder(ids.gather(1, left), mask.gather(1, left), token_type_ids=types, states=True)
    assert torch.equal(right.logits, turned.logits)
    assert torch.equal(right.states, turned.states)


@pytest.mark.parametrize("family", FAMILY)
def test_layers_can_be_chosen(family: str) -> None:
    backbone = random_backbone(FAMILY[family], 40, seed=0)
    owner, name = layers_of(backbone)
    second = getattr(owner, name)[1]
    keep_layers(backbone, (1,))
    assert list(getattr(owner, name)) == [second]
    encoder = Encoder(backbone, 2, "cls").eval()
    assert encoder(*batch(1)).logits.shape == (2, 2)


@pytest.mark.parametrize("family", FAMILY)
def test_save_and_load_give_the_same_outputs(family: str, tmp_path: Path) -> None:
    encoder = Encoder(random_backbone(FAMILY[family], 40, seed=0), 3, "mean").eval()
    encoder.save_pretrained(tmp_path)
    loaded = Encoder.from_pretrained(tmp_path)
    assert not loaded.training
    for a, b in zip(encoder(*batch(1))[:2], loaded(*batch(1))[:2], strict=True):
        assert torch.equal(a, b)


def test_layer_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ModelError, match="layers 0 to 1"):
        keep_layers(random_backbone(tiny.config(), 40, seed=0), (0, 2))


def test_pooler_is_used_only_if_asked_for_and_there() -> None:
    assert tiny.encoder(pooling="pooler")(*batch()).embedding.abs().max() <= 1  # tanh
    assert tiny.encoder(pooling="cls").backbone.pooler is None
    with pytest.raises(ModelError, match="no pooler"):
        Encoder(random_backbone(FAMILY["distilbert"], 40, seed=0), 2, "pooler")


def test_mean_pooling_ignores_padding() -> None:
    hidden = torch.tensor([[[1.0], [3.0], [100.0]]])
    assert pool(hidden, torch.tensor([[1, 1, 0]])).item() == 2.0


def test_written_out_attention_equals_the_fused_one() -> None:
    """Training mode on a CPU takes the other kernel; without dropout it must agree."""
    encoder = tiny.encoder(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0).double()
    ids, mask = batch()
    evaluated = encoder.eval()(ids, mask)
    trained = encoder.train()(ids, mask)
    assert torch.allclose(evaluated.logits, trained.logits, atol=1e-12)
    assert encoder.backbone.config._attn_implementation == attention.NAME
    plain = AutoModel.from_config(
        deepcopy(encoder.backbone.config), attn_implementation="eager"
    ).double()
    plain.load_state_dict(encoder.backbone.state_dict(), strict=False)
    reference = plain.eval()(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
    assert torch.allclose(evaluated.embedding, reference, atol=1e-12)


def test_attention_dropout_is_active_in_training_only() -> None:
    encoder = tiny.encoder(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.5)
    encoder.dropout.p = 0.0
    ids, mask = batch()
    assert not torch.equal(encoder.train()(ids, mask).logits, encoder(ids, mask).logits)
    assert torch.equal(encoder.eval()(ids, mask).logits, encoder(ids, mask).logits)


@pytest.mark.parametrize("family", FAMILY)
def test_longest_is_what_the_positions_allow(family: str) -> None:
    encoder = Encoder(random_backbone(FAMILY[family], 40, seed=0, pad_id=1), 2, "cls").eval()
    ids = torch.full((1, encoder.longest), 7)
    assert encoder(ids, torch.ones_like(ids)).logits.isfinite().all()
    longer = torch.full((1, encoder.longest + 1), 7)
    with pytest.raises((RuntimeError, IndexError)):
        encoder(longer, torch.ones_like(longer))


def test_random_weights_come_from_the_seed_alone() -> None:
    before = torch.get_rng_state()
    assert tiny.same_weights(tiny.encoder(seed=3), tiny.encoder(seed=3))
    assert not tiny.same_weights(tiny.encoder(seed=3), tiny.encoder(seed=4))
    assert torch.equal(before, torch.get_rng_state())


def test_config_that_is_not_valid_is_a_clear_error() -> None:
    with pytest.raises(ModelError, match="not a valid model config"):
        random_backbone(tiny.config(num_attention_heads=3), 40, seed=0)
    with pytest.raises(ModelError, match="not a valid model config"):
        random_backbone({"model_type": "bart3"}, 40, seed=0)


@pytest.mark.parametrize("damage", ["encoder.json", "head.safetensors", "config.json"])
def test_damaged_folder_is_named(damage: str, tmp_path: Path) -> None:
    tiny.encoder().save_pretrained(tmp_path)
    (tmp_path / damage).write_bytes(b"{")
    with pytest.raises(ModelError, match=str(tmp_path)):
        Encoder.from_pretrained(tmp_path)
