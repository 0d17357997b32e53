"""What a training step costs beside forward, loss, backward pass and optimiser.

KD with the teacher's answers kept, a student of three layers of MiniLM's shape (384 wide, random
weights), batches of 32 rows of MRPC's lengths, fp32. Every call that is work is timed where it is
made: the model's forward, the distiller's loss, the backward pass, clipping, the optimiser and its
schedule. What is left of the loop's own seconds is the harness: batches, signals, counting,
reporting. Shares of one run, so a busy machine disturbs them little. Ten seconds on two cores.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.scheduler import AcceleratedScheduler
from datasets import Dataset

from baselines.kd import KD
from reaugkd.models.encoder import Encoder
from reaugkd.models.recipe import Recipe
from reaugkd.signals import TeacherSignals
from reaugkd.tasks.encode import Encoded
from reaugkd.training.checkpoint import Checkpoint
from reaugkd.training.loop import TrainingOptions, train
from tests import tiny

pytestmark = pytest.mark.slow

AT_MOST = 0.05
ROWS, WIDTH = 32 * 16, 384
STUDENT = {
    "hidden_size": WIDTH,
    "intermediate_size": 4 * WIDTH,
    "num_attention_heads": 12,
    "num_hidden_layers": 3,
    "max_position_embeddings": 128,
}
WORK: tuple[tuple[type, str], ...] = (
    (Encoder, "forward"),
    (KD, "loss"),
    (Accelerator, "backward"),
    (Accelerator, "clip_grad_norm_"),
    (AcceleratedOptimizer, "step"),
    (AcceleratedOptimizer, "zero_grad"),
    (AcceleratedScheduler, "step"),
)
"""The calls that are no harness; none of them is made within another."""


def rows() -> Dataset:
    """Rows of 53 tokens in the middle, from 20 to 100, as MRPC's."""
    random = np.random.default_rng(0)
    lengths = np.clip(random.normal(53, 15, ROWS), 20, 100).astype(int)
    ids = [random.integers(5, tiny.VOCABULARY, length).tolist() for length in lengths]
    return Dataset.from_dict(
        {
            "input_ids": ids,
            "token_type_ids": [[0] * len(row) for row in ids],
            "label": random.integers(0, 2, ROWS),
            "idx": range(ROWS),
            "length": lengths,
        },
        features=tiny.rows(1).features,
    )


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Seconds spent in every call of :data:`WORK`, by its name, as they are spent."""
    spent: dict[str, float] = {}

    def timed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def wrapper(*given: Any, **options: Any) -> Any:
            began = time.perf_counter()
            try:
                return call(*given, **options)
            finally:
                spent[name] = spent.get(name, 0.0) + time.perf_counter() - began

        return wrapper

    for owner, method in WORK:
        name = f"{owner.__name__}.{method}"
        monkeypatch.setattr(owner, method, timed(name, getattr(owner, method)))
    return spent


@pytest.mark.benchmark(group="step overhead")
def test_the_harness_is_a_small_part_of_a_step(
    seconds: dict[str, float], benchmark: Any, tmp_path: Path
) -> None:
    random, fit = np.random.default_rng(1), rows()
    source = TeacherSignals(
        random.standard_normal((ROWS, 2), np.float32),
        random.standard_normal((ROWS, WIDTH), np.float32),
    )
    splits = {"fit": fit, "held_out": tiny.rows(8), "dev": tiny.rows(8)}
    recipe = Recipe(epochs=1, batch_size=32)
    setup = tiny.setup(recipe, encoded={"student": Encoded(splits, 0)})

    def epoch(name: str, until: int | None = None) -> float:
        options = TrainingOptions(
            source=source, evaluate=lambda _: {"accuracy": 0.0, "f1": 0.0}, until=until
        )
        student, checkpoint = tiny.encoder(pooling="mean", **STUDENT), Checkpoint(tmp_path / name)
        return train(student, KD(), setup, options, checkpoint=checkpoint).seconds

    epoch("warm", until=2)  # the first steps of a process are slow
    seconds.clear()
    total = benchmark.pedantic(epoch, ("timed",), rounds=1, iterations=1)
    harness = 1.0 - sum(seconds.values()) / total
    shares = {name: spent / total for name, spent in seconds.items()}
    benchmark.extra_info |= {
        "harness": harness,
        "milliseconds a step": 1e3 * total / recipe.steps(ROWS),
        "threads": torch.get_num_threads(),
        **shares,
    }
    print(benchmark.extra_info)
    assert set(seconds) == {f"{owner.__name__}.{method}" for owner, method in WORK}
    assert 0.0 < harness <= AT_MOST
