"""Laws of the measured student: finite, in evaluation mode, in the precision that was asked for."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench.measure.job import FolderStudent, RandomStudent
from bench.measure.student import load
from reaugkd.errors import MissingLibraryError, ModelError
from reaugkd.models.encoder import EncoderOutput
from tests import tiny

TINY = RandomStudent(width=32, layers=2, heads=2, vocabulary=50)


def batch() -> dict[str, Tensor]:
    ids = torch.arange(1, 13).reshape(2, 6)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def answers(encoder: torch.nn.Module) -> EncoderOutput:
    with torch.inference_mode():
        output: EncoderOutput = encoder(**batch())
    return output


def test_random_weights_are_finite_and_never_denormal() -> None:
    least = torch.finfo(torch.float32).tiny
    for name, weight in load(TINY, "fp32", 3).named_parameters():
        assert torch.isfinite(weight).all(), name
        assert ((weight == 0) | (weight.abs() >= least)).all(), name


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_neither_drops_out_nor_learns(precision: str) -> None:
    encoder = load(TINY, precision, 2)
    assert not any(module.training for module in encoder.modules())
    assert not any(weight.requires_grad for weight in encoder.parameters())
    assert torch.equal(answers(encoder).embedding, answers(encoder).embedding)


@pytest.mark.parametrize("pooling", ["cls", "pooler", "mean"])
def test_bf16_is_the_same_student_in_fewer_bits(tmp_path: Path, pooling: str) -> None:
    tiny.encoder(outputs=3, pooling=pooling).save_pretrained(tmp_path)
    source = FolderStudent(path=str(tmp_path))
    exact, short = answers(load(source, "fp32", 3)), answers(load(source, "bf16", 3))
    # The mean over tokens is taken in float32 whatever the tokens are.
    assert short.embedding.dtype == (torch.float32 if pooling == "mean" else torch.bfloat16)
    assert all(
        weight.dtype == torch.bfloat16 for weight in load(source, "bf16", 3).backbone.parameters()
    )
    for a, b in ((exact.logits, short.logits), (exact.embedding, short.embedding)):
        assert not torch.equal(a, b.float())
        torch.testing.assert_close(a, b.float(), atol=0.05, rtol=0.05)


def test_a_stored_student_is_the_one_that_was_saved(tmp_path: Path) -> None:
    saved = tiny.encoder(seed=5).eval()
    saved.save_pretrained(tmp_path)
    loaded = load(FolderStudent(path=str(tmp_path)), "fp32", 2)
    assert torch.equal(answers(loaded).logits, answers(saved).logits)


def test_a_student_that_is_missing_or_answers_something_else_is_named(tmp_path: Path) -> None:
    source = FolderStudent(path=str(tmp_path / "none"))
    with pytest.raises(ModelError, match="none"):
        load(source, "fp32", 2)
    tiny.encoder(outputs=2).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="has 2 outputs, the knowledge base 3"):
        load(FolderStudent(path=str(tmp_path)), "fp32", 3)


@pytest.mark.skipif(find_spec("torchao") is not None, reason="torchao is installed")
def test_int8_names_the_extra_that_brings_it() -> None:
    with pytest.raises(MissingLibraryError, match=r"reaugkd\[int8\]"):
        load(TINY, "int8", 2)


@pytest.mark.skipif(find_spec("torchao") is None, reason="needs torchao")
def test_int8_is_the_same_student_roughly() -> None:
    exact, short = answers(load(TINY, "fp32", 2)), answers(load(TINY, "int8", 2))
    assert not torch.equal(exact.embedding, short.embedding)
    torch.testing.assert_close(exact.embedding, short.embedding, atol=0.2, rtol=0.2)
