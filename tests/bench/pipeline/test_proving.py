"""The plan proves each model once, and refuses those that cannot do what a run asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import GPT2Config, GPT2Model

from reaugkd.errors import ModelError
from reaugkd.models import probe
from reaugkd.tasks import mini
from tests.bench import checkpoints, runs


@pytest.fixture
def proofs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the models as they are proved."""
    names: list[str] = []
    plain = probe.prove

    def prove(encoder: Any, name: str, *rest: Any, **more: Any) -> None:
        names.append(name)
        plain(encoder, name, *rest, **more)

    monkeypatch.setattr(probe, "prove", prove)
    return names


def decoder(folder: Path) -> str:
    config = GPT2Config(
        n_embd=32, n_layer=2, n_head=2, n_positions=64, vocab_size=checkpoints.WORDS
    )
    config.bos_token_id = config.eos_token_id = 2
    GPT2Model(config).save_pretrained(folder)
    mini.tokenizer().save_pretrained(folder)
    return str(folder)


def test_every_model_once_for_all_tasks(proofs: list[str], tmp_path: Path) -> None:
    runs.plan(tmp_path, tasks=["tone", "follows", "alike"], methods=["kd", "reaugkd"])
    assert [name.split()[0] for name in proofs] == ["student", "teacher"]


def test_a_teacher_that_is_not_needed_is_not_proved(proofs: list[str], tmp_path: Path) -> None:
    runs.plan(tmp_path, methods=["finetune"])
    assert [name.split()[0] for name in proofs] == ["student"]


@pytest.mark.parametrize("role", ["teacher", "student"])
def test_a_decoder_is_refused_before_anything_trains(role: str, tmp_path: Path) -> None:
    source = decoder(tmp_path / "gpt2")
    with pytest.raises(ModelError, match=rf"^{role} '.*gpt2': .* does not depend on token"):
        runs.plan(tmp_path, **{f"{role}__model": {"source": source}})


def test_models_that_methods_name_are_proved_too(tmp_path: Path) -> None:
    settings = {"takd": {"chain": [decoder(tmp_path / "gpt2")]}}
    with pytest.raises(ModelError, match=r"model '.*gpt2' of takd.* does not depend on token"):
        runs.plan(tmp_path, methods=["takd"], settings=settings)
