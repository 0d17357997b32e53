"""The forward that retrieval is compared with must be a fast one: a slow one flatters the claim.

In one process, the ways taking turns on the same batch: our attention against transformers' own
``sdpa``, and weights converted to bf16 against autocast. ``pytest -s -m "" tests/benchmarks/
test_student_forward.py`` shows the ratios.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from itertools import product
from time import perf_counter_ns

import numpy as np
import pytest
import torch

from bench.measure import environment, inputs, student
from bench.measure.job import RandomStudent
from reaugkd.models.encoder import Encoder

SHAPES = list(product((1, 32), (16, 64, 128)))
"""Batch and tokens."""

TURNS = {1: 30, 32: 6}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fp32() -> Encoder:
    return student.load(RandomStudent(), "fp32", 2)


def ratio(ways: dict[str, Callable[[dict[str, torch.Tensor]], object]], what: str) -> list[float]:
    """Median time of the first way against the second's, by shape."""
    ratios = []
    for batch, tokens in SHAPES:
        given = inputs.fixed(tokens, batch, 30_522).tensors(np.arange(batch))
        times: dict[str, list[int]] = {name: [] for name in ways}
        with torch.inference_mode():
            for turn in range(TURNS[batch] + 2):
                for name in sorted(ways, reverse=bool(turn % 2)):
                    start = perf_counter_ns()
                    ways[name](given)
                    times[name].append(perf_counter_ns() - start)
        first, second = (float(np.median(times[name][2:])) / 1e6 for name in ways)
        ratios.append(first / second)
        print(f"{what}, batch {batch}, {tokens} tokens: {first:.1f} of {second:.1f} ms, ", end="")
        print(f"{ratios[-1]:.2f}")
    return ratios


def test_our_attention_is_as_fast_as_sdpa(fp32: Encoder) -> None:
    own = deepcopy(fp32)
    own.backbone.set_attn_implementation("sdpa")
    ways = {"ours": lambda given: fp32(**given), "sdpa": lambda given: own(**given)}
    assert np.median(ratio(ways, "ours / sdpa")) < 1.1


@pytest.mark.skipif(
    not environment.NATIVE_BF16 & environment.cpu_flags(), reason="no bf16 arithmetic here"
)
def test_converted_weights_are_faster_than_autocast(fp32: Encoder) -> None:
    converted = student.load(RandomStudent(), "bf16", 2)

    def autocast(given: dict[str, torch.Tensor]) -> object:
        with torch.autocast("cpu", torch.bfloat16):
            return fp32(**given)

    ways = {"converted": lambda given: converted(**given), "autocast": autocast}
    assert max(ratio(ways, "converted / autocast")) < 1.05
