"""What is chosen for the CPU, against what was not, as ratios on the CPU that runs this.

    pytest -s -m "" tests/benchmarks/test_cpu_choices.py

Precision is timed by every run itself (``precision = "auto"``); attention and dropout of training
are written for the CPU (docs/decisions/0004), whichever it is. A ratio is the time of the one that
was not chosen over that of the one that was, ways taking turns on one batch; above 1 the choice is
right here. Of a CPU on which bf16 is hopeless only fp32 is tried.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial

import pytest
import torch

from reaugkd.models.encoder import Encoder, random_backbone
from reaugkd.models.learner import autocast, decay_groups
from reaugkd.models.recipe import Precision
from reaugkd.training.precision import GAIN, BatchShape, StepTimes, time_steps
from tests.benchmarks.test_training_speed import undo_fast_dropout

MINILM = {"hidden_size": 384, "num_hidden_layers": 3, "num_attention_heads": 12,
          "intermediate_size": 1536}  # fmt: skip
VOCABULARY, TURNS = 30_522, 5
CPU = torch.device("cpu")
NEAR = 0.15
"""How far two timings of one ratio may lie apart."""

Way = Callable[[], object]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(params=[16, 64], ids=lambda tokens: f"{tokens} tokens")
def batch(request: pytest.FixtureRequest) -> BatchShape:
    return BatchShape(rows=32, tokens=request.param)


@pytest.fixture(scope="module")
def fresh() -> Encoder:
    return Encoder(random_backbone(MINILM, VOCABULARY, seed=0), outputs=2)


def inputs(batch: BatchShape) -> dict[str, torch.Tensor]:
    ids = torch.randint(VOCABULARY, (batch.rows, batch.tokens))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def trainer(model: Encoder, batch: BatchShape, precision: Precision) -> Way:
    """A training step of ``model``, as ``time_steps`` takes it."""
    given = inputs(batch)
    optimizer = torch.optim.AdamW(decay_groups([model], 0.01), lr=1e-5, fused=True)

    def step() -> None:
        model.train()
        with autocast(CPU, precision):
            output = model(**given)
        output.logits.float().square().mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def reader(model: Encoder, batch: BatchShape, precision: Precision) -> Way:
    """A forward pass as the teacher's signals are made."""
    given = inputs(batch)

    def read() -> None:
        model.eval()
        with torch.inference_mode(), autocast(CPU, precision):
            model(**given)

    return read


def seconds(ways: Mapping[str, Way]) -> dict[str, float]:
    """Median time of each way, by turns, after one that does not count."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(TURNS + 1):
        for name in sorted(ways, reverse=bool(turn % 2)):
            began = time.perf_counter()
            ways[name]()
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def steps_of(fresh: Encoder, batch: BatchShape) -> StepTimes:
    return time_steps(deepcopy(fresh), batch, vocabulary=VOCABULARY)


def precisions(times: StepTimes) -> tuple[Precision, ...]:
    return ("fp32",) if times.ratio < 0.5 else ("fp32", "bf16")


def test_what_auto_takes_is_what_longer_timing_takes(fresh: Encoder, batch: BatchShape) -> None:
    times = steps_of(fresh, batch)
    print(f"\n{batch}: a step in bf16 at {times.ratio:.2f}x the speed of fp32: {times.precision}")
    if len(precisions(times)) == 1:
        return
    for what, way in {"a step": trainer, "a forward pass": reader}.items():
        ways = {p: way(deepcopy(fresh), batch, p) for p in precisions(times)}
        medians = seconds(ways)
        ratio = medians["fp32"] / medians["bf16"]
        print(f"  {what}, longer: {ratio:.2f}x")
        if way is trainer and abs(ratio / GAIN - 1) > NEAR:
            assert times.precision == ("bf16" if ratio > GAIN else "fp32")


def test_attention_and_dropout_of_training_are_no_slower_than_torchs(
    fresh: Encoder, batch: BatchShape
) -> None:
    times = steps_of(fresh, batch)
    sdpa, plain = deepcopy(fresh), deepcopy(fresh)
    sdpa.backbone.set_attn_implementation("sdpa")
    undo_fast_dropout(plain)
    models = {"ours": fresh, "torch's fused attention": sdpa, "torch's dropout": plain}
    for precision in precisions(times):
        step = partial(trainer, batch=batch, precision=precision)
        medians = seconds({name: step(deepcopy(model)) for name, model in models.items()})
        ratios = {name: medians[name] / medians["ours"] for name in models if name != "ours"}
        shown = ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
        print(f"\n{batch}, {precision}: time over ours: {shown}")
        if precision == times.precision:
            assert min(ratios.values()) > 1 - NEAR
