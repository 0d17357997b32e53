"""What a proof refuses, each model by what it does."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from reaugkd.errors import ModelError
from reaugkd.models.encoder import Encoder, random_backbone
from reaugkd.models.probe import prove
from tests import architectures, tiny

TEXT = [2, 7, 9, 12, 5, 30, 8, 3]
SMALL = {"d_model": 16, "vocab_size": tiny.VOCABULARY}
DECODERS: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32},
    "qwen3": tiny.config(num_key_value_heads=2, head_dim=8),
}
PAIRS: dict[str, dict[str, Any]] = {
    "t5": {"d_model": 16, "num_layers": 2, "num_heads": 2, "d_ff": 32, "d_kv": 8},
    "bart": {"d_model": 16, "max_position_embeddings": 32}
    | dict.fromkeys(("encoder_layers", "decoder_layers"), 2)
    | dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2)
    | dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim"), 32),
}


def proved(encoder: Encoder, vocabulary: int = tiny.VOCABULARY) -> None:
    prove(encoder, "student 'x'", TEXT, vocabulary, pad_id=0)


def refused(encoder: Encoder, words: str, vocabulary: int = tiny.VOCABULARY) -> None:
    with pytest.raises(ModelError, match=words) as raised:
        proved(encoder, vocabulary)
    assert str(raised.value).startswith("student 'x': ")
    assert "\n" not in str(raised.value)


def model(kind: str, fields: dict[str, Any], pooling: Any = "cls") -> Encoder:
    tokens = {"bos_token_id": 2, "eos_token_id": 3}
    backbone = random_backbone({"model_type": kind, **tokens, **fields}, tiny.VOCABULARY, seed=0)
    return Encoder(backbone, 2, pooling)


@pytest.mark.parametrize("kind", DECODERS)
def test_a_first_token_that_sees_no_other(kind: str) -> None:
    refused(model(kind, DECODERS[kind]), r"pooling 'cls'.* does not depend on token 8 of 8")


@pytest.mark.parametrize("kind", DECODERS)
def test_the_mean_of_a_decoder_is_an_embedding(kind: str) -> None:
    """And learning leaves its causal mask in place."""
    proved(model(kind, DECODERS[kind], "mean"))


@pytest.mark.parametrize(
    ("kind", "words"), [("t5", "does not encode a text by itself"), ("bart", "hidden states")]
)
def test_two_stacks_are_no_encoder(kind: str, words: str) -> None:
    refused(model(kind, PAIRS[kind]), words)


def test_weights_that_are_not_finite_are_named() -> None:
    encoder = tiny.encoder()
    with torch.no_grad():
        encoder.backbone.encoder.layer[1].output.dense.weight[0, 0] = torch.nan
    refused(encoder, r"weight encoder\.layer\.1\.output\.dense\.weight is not finite")


def test_an_embedding_for_every_id() -> None:
    refused(tiny.encoder(), "knows 40 tokens, the tokenizer has ids to 49", vocabulary=50)


def test_a_mask_that_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = tiny.encoder(pooling="cls")
    plain = encoder.backbone.forward

    def blind(input_ids: Any = None, attention_mask: Any = None, **more: Any) -> Any:
        return plain(input_ids=input_ids, attention_mask=torch.ones_like(input_ids), **more)

    monkeypatch.setattr(encoder.backbone, "forward", blind)
    refused(encoder, "padding on the right changes its answer")


def test_a_token_that_is_never_read(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = tiny.encoder(pooling="mean")
    plain = encoder.backbone.forward

    def short(input_ids: Any = None, **more: Any) -> Any:
        input_ids = input_ids.clone()
        input_ids[:, 5] = 1
        return plain(input_ids=input_ids, **more)

    monkeypatch.setattr(encoder.backbone, "forward", short)
    refused(encoder, "does not depend on token 6 of 8")


def test_layers_that_cannot_be_saved_as_they_are() -> None:
    """ModernBERT makes its first layer without a norm, so no other can be its first."""
    refused(
        architectures.encoder("modernbert", layers=(1, 2), local_attention=32),
        r"saved and loaded it is another model: .* no place for layers\.0\.attn_norm\.weight",
    )


@pytest.mark.parametrize("training", [True, False])
def test_its_mode_and_the_generator_are_left_alone(training: bool) -> None:
    encoder, state = tiny.encoder().train(training), torch.get_rng_state()
    proved(encoder)
    assert encoder.training == training
    assert torch.equal(torch.get_rng_state(), state)
