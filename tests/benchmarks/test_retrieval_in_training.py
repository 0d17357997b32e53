"""A step of ReAugKD-R against one of ReAugKD, by the entries of the base that it searches.

A student of three layers of MiniLM's shape (384 wide, random weights), a batch of 32 rows of 32
tokens, fp32, one thread; keys of 384 numbers and values of two classes are random too. What is
added is an exact product of 32 queries with the base, so it grows with the entries. The two take
turns step by step, in seconds of the processor. About a minute.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines import METHODS
from reaugkd.context import Context
from reaugkd.signals import TeacherSignals
from reaugkd.training.batches import Collator
from tests import tiny
from tests.baselines import teams
from tests.benchmarks.test_method_cost import rows

pytestmark = pytest.mark.slow

MOST = {10_000: 1.1, 60_000: 1.3}
"""Largest ratio of the two that is accepted, by entries."""

WIDTH, STEPS = 384, 15
STUDENT = {
    "hidden_size": WIDTH,
    "intermediate_size": 4 * WIDTH,
    "num_attention_heads": 12,
    "num_hidden_layers": 3,
    "max_position_embeddings": 64,
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def given(folder: Path, entries: int) -> Context:
    """A run whose teacher has said random things of ``entries`` rows."""
    random = np.random.default_rng(0)
    signals = TeacherSignals(
        random.standard_normal((entries, 2), np.float32),
        random.standard_normal((entries, WIDTH), np.float32),
    )
    splits = {"fit": rows(entries, 0), "held_out": rows(32, 1), "dev": rows(32, 2)}
    models = {"teacher_fields": STUDENT, "student_fields": STUDENT}
    return tiny.context(folder, splits=splits, signals=signals, **models)


def stepper(name: str, context: Context) -> Callable[[], float]:
    """Does a step of a method and tells the seconds that it took."""
    kind = METHODS[name]
    method = kind(kind.Settings.model_validate({"head": {"epochs": 0}}))
    method.prepare(context)
    team, batch = teams.team(method, context), Collator(context.splits["fit"], 0)(range(32))

    def step() -> float:
        began = time.process_time()
        method.step(team, batch, context.teacher.batch(batch))
        return time.process_time() - began

    return step


@pytest.mark.benchmark(group="retrieval in training")
@pytest.mark.parametrize("entries", MOST)
def test_step_against_reaugkd(entries: int, benchmark: Any, tmp_path: Path) -> None:
    context = given(tmp_path, entries)
    plain, own = stepper("reaugkd", context), stepper("reaugkd-r", context)
    plain(), own()  # the first steps of a process are slow
    pairs = [(plain(), own()) for _ in range(STEPS)]
    benchmark.pedantic(own, rounds=1, iterations=1)
    seconds = [statistics.median(times) for times in zip(*pairs, strict=True)]
    ratio = statistics.median(after / before for before, after in pairs)
    benchmark.extra_info |= {"ratio to reaugkd": ratio, "seconds": seconds}
    print(entries, benchmark.extra_info)
    assert ratio <= MOST[entries]
