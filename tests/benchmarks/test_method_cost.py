"""Seconds per student step of every method against plain fine-tuning, in one run.

Random-weight encoders (teacher 4 layers, student 2, both 128 wide), batches of 32 rows of 32
tokens, fp32. Stages before the student are not counted: the report shows them apart. The bound of
each method follows from the passes it makes (a teacher layer costs what a student layer costs
here), with a margin for optimiser and overhead. About two minutes on two cores.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from baselines import METHODS
from reaugkd.context import Context
from reaugkd.models.recipe import Recipe
from reaugkd.training.checkpoint import Checkpoint
from reaugkd.training.loop import distil
from tests import tiny

pytestmark = pytest.mark.slow

MOST = {
    "finetune": 1.3,
    "kd": 1.3,
    "pkd": 1.4,
    "rkd": 1.5,
    "takd": 1.3,
    "rco": 1.3,
    "dml": 6.0,
    "prokt": 8.0,
    "sftn": 1.3,
    "metadistil": 11.0,
    "knn-kd": 1.3,
    "reaugkd": 1.4,
    "reaugkd-r": 1.5,
}
"""Largest ratio to fine-tuning that is accepted, by method; a new method needs its row."""

ROWS, TOKENS, ROUNDS = 640, 32, 3
WIDE = {
    "hidden_size": 128,
    "intermediate_size": 512,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
}
RECIPE = Recipe(learning_rate=1e-4, epochs=1, batch_size=32)


def rows(count: int, seed: int) -> Dataset:
    """``count`` rows of equal length."""
    random = np.random.default_rng(seed)
    ids = random.integers(5, tiny.VOCABULARY, (count, TOKENS))
    one = tiny.rows(1)
    return Dataset.from_dict(
        {
            "input_ids": ids.tolist(),
            "token_type_ids": np.zeros_like(ids).tolist(),
            "label": random.integers(0, 2, count).tolist(),
            "idx": list(range(count)),
            "length": [TOKENS] * count,
        },
        features=one.features,
    )


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    splits = {"fit": rows(ROWS, 0), "held_out": rows(32, 1), "dev": rows(32, 2)}
    return tiny.context(
        tmp_path_factory.mktemp("cost"),
        splits=splits,
        teacher_fields={**WIDE, "num_hidden_layers": 4},
        student_fields={**WIDE, "num_hidden_layers": 2},
        recipe=RECIPE,
        teacher_recipe=RECIPE,
    )


def seconds_per_step(method: str, context: Context, folder: Path) -> float:
    student = context.models.student(2)
    result = distil(
        METHODS[method](), context, student, checkpoint=Checkpoint(folder), stage=method
    )
    return result.seconds / result.steps


@pytest.mark.benchmark(group="method cost")
@pytest.mark.parametrize("method", [name for name in METHODS if name in MOST])
def test_step_against_fine_tuning(
    method: str, context: Context, benchmark: Any, tmp_path: Path
) -> None:
    seconds_per_step(method, context, tmp_path / "warm")
    ratios = []
    for number in range(ROUNDS):
        plain = seconds_per_step("finetune", context, tmp_path / f"plain{number}")
        own = seconds_per_step(method, context, tmp_path / f"own{number}")
        ratios.append(own / plain)
    benchmark.pedantic(
        seconds_per_step, (method, context, tmp_path / "last"), rounds=1, iterations=1
    )
    ratio = statistics.median(ratios)
    benchmark.extra_info |= {"ratio to finetune": ratio, "ratios": ratios}
    print(method, benchmark.extra_info)
    assert ratio <= MOST[method]
