"""What a launcher, a profile or a caller leaves behind decides no result, or is refused by name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from reaugkd import surroundings
from reaugkd.errors import UserError
from reaugkd.models.recipe import Recipe
from tests import tiny

RECIPE = Recipe(learning_rate=1e-3, epochs=1, batch_size=8)

LEFT_BEHIND = {
    "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "4",
    "ACCELERATE_MIXED_PRECISION": "bf16",
    "ACCELERATE_DYNAMO_BACKEND": "EAGER",
    "ACCELERATE_USE_FSDP": "true",
    "ACCELERATE_USE_DEEPSPEED": "true",
    "ACCELERATE_USE_MEGATRON_LM": "true",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "true",
    "ACCELERATE_TORCH_DEVICE": "meta",
    "ACCELERATE_CPU_AFFINITY": "1",
    "PMI_SIZE": "2",
    "OMPI_COMM_WORLD_SIZE": "2",
    "MV2_COMM_WORLD_SIZE": "2",
    "WORLD_SIZE": "2",
    "RANK": "1",
    "LOCAL_RANK": "1",
}


@pytest.fixture
def afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """accelerate as in a process that has not used it yet: its state is the process's."""
    from accelerate.state import AcceleratorState, GradientState, PartialState

    for state in (AcceleratorState, GradientState, PartialState):
        monkeypatch.setattr(state, "_shared_state", type(state._shared_state)())


@pytest.mark.parametrize("name", LEFT_BEHIND)
def test_variables_of_launchers_change_no_training(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, afresh: None
) -> None:
    plain, launched = tiny.encoder(), tiny.encoder()
    expected = tiny.fine_tuned(plain, tiny.setup(RECIPE), tmp_path / "plain")
    from accelerate.state import AcceleratorState, GradientState, PartialState

    for state in (AcceleratorState, GradientState, PartialState):
        state._shared_state.clear()
    monkeypatch.setenv(name, LEFT_BEHIND[name])
    result = tiny.fine_tuned(launched, tiny.setup(RECIPE), tmp_path / "launched")
    assert (result.steps, result.history) == (expected.steps, expected.history)
    assert tiny.same_weights(plain, launched)
    assert os.environ[name] == LEFT_BEHIND[name]


def test_other_variables_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with surroundings.alone():
        assert "WORLD_SIZE" not in os.environ
        assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    assert os.environ["WORLD_SIZE"] == "2"


def test_a_process_that_uses_accelerate_otherwise_is_refused(tmp_path: Path, afresh: None) -> None:
    """Its state is shared by all accelerators: bfloat16 would be taken over without a word."""
    from accelerate import Accelerator

    Accelerator(cpu=True, mixed_precision="bf16")
    with pytest.raises(UserError, match="set up accelerate otherwise"):
        tiny.fine_tuned(tiny.encoder(), tiny.setup(RECIPE), tmp_path)


@pytest.mark.parametrize("name", surroundings.PRECISION)
def test_shorter_products_that_nobody_can_undo_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, surroundings.PRECISION[name].lower())
    surroundings.require_exact()
    monkeypatch.setenv(name, "1")
    with pytest.raises(UserError, match=f"the environment has {name}=1"):
        tiny.fine_tuned(tiny.encoder(), tiny.setup(RECIPE), tmp_path)


def test_the_callers_precision_of_products_is_put_aside_and_back(tmp_path: Path) -> None:
    seen = set()

    def scores(model: object) -> dict[str, float]:
        seen.add(torch.get_float32_matmul_precision())
        return {"accuracy": 0.5}

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        tiny.fine_tuned(tiny.encoder(), tiny.setup(RECIPE), tmp_path, evaluate=scores)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert seen == {"highest"}
