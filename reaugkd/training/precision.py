"""``precision = "auto"``: a training step timed in fp32 and in bf16, on the model and machine.

bf16 halves the time of a step where a processor multiplies matrices of it (AMX, a GPU), and makes
it slower where it does not, and no list of processors knows which is which. So both are timed, once
per machine, architecture and shape of a batch, and the times are kept; what follows from them is a
pure function. A key or record holds the answer, never the question.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field

from reaugkd import processor, surroundings
from reaugkd.artifacts.store import ArtifactStore, write_json
from reaugkd.models import threads
from reaugkd.models.encoder import Encoder
from reaugkd.models.learner import autocast, decay_groups
from reaugkd.models.recipe import Precision

PROTOCOL = 1
"""Part of the key: raised when steps would be timed in another way."""

GAIN = 1.1
"""How many times as fast a step in bf16 must be: it changes numbers, so a draw is fp32's."""

PAIRS, BUDGET_S = 11, 4.0
"""Steps of each precision; no further pair begins when so many seconds have passed."""

HOPELESS = 2.0
"""Where a step of one row takes so many times as long in bf16, no whole batch is tried: bf16 is
emulated there. Casting the weights, which one row pays as a batch does, costs much less."""

MOST_TOKENS = 1024
"""Of a timed batch: a large one is cut to fewer rows, whose ratio is the same."""

ROUNDED = 16
"""Tokens of a text are rounded up to a multiple of it, so that like batches share an answer."""

KIND, _FILE = "precision", "steps.json"


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TrainingMachine(_Plain):
    """What the times hold for besides model and batch."""

    processor: str = Field(description="its model, or that of the GPU")
    flags: tuple[str, ...] = Field(description="vector and matrix extensions of the CPU")
    threads: int = Field(ge=1, description="that torch may use")
    torch: str


class BatchShape(_Plain):
    """A typical batch: ``rows`` texts of ``tokens`` tokens each."""

    rows: int = Field(ge=1)
    tokens: int = Field(ge=1)

    @classmethod
    def typical(cls, rows: int, lengths: Sequence[int], longest: int) -> BatchShape:
        """The batch of ``rows`` texts of the mean of ``lengths``, at most ``longest`` tokens.

        >>> BatchShape.typical(32, [10, 30, 29], 128)
        BatchShape(rows=32, tokens=32)
        """
        mean = sum(lengths) / max(1, len(lengths))
        return cls(rows=rows, tokens=min(longest, ROUNDED * max(1, -int(-mean // ROUNDED))))

    @property
    def timed_rows(self) -> int:
        """The rows of a timed step.

        >>> BatchShape(rows=32, tokens=128).timed_rows
        8
        """
        return min(self.rows, max(1, MOST_TOKENS // self.tokens))


class StepTimes(_Plain):
    """Seconds of a few training steps in each precision."""

    fp32: tuple[float, ...] = Field(min_length=1)
    bf16: tuple[float, ...] = Field(min_length=1)

    @property
    def ratio(self) -> float:
        """How many times as fast bf16 is: the ratio of the medians.

        >>> StepTimes(fp32=(2.0, 2.0, 9.0), bf16=(1.0, 1.0, 1.0)).ratio
        2.0
        """
        return statistics.median(self.fp32) / statistics.median(self.bf16)

    @property
    def precision(self) -> Precision:
        """bf16 where it is at least :data:`GAIN` times as fast, otherwise fp32.

        >>> StepTimes(fp32=(1.0,), bf16=(0.95,)).precision
        'fp32'
        """
        return "bf16" if self.ratio >= GAIN else "fp32"


class StepQuestion(_Plain):
    """Which precision is faster: where, for what architecture, for what batches."""

    machine: TrainingMachine
    model: dict[str, Any] = Field(description="architecture, see ModelSpec.architecture")
    batch: BatchShape

    @property
    def identity(self) -> dict[str, Any]:
        """Plain JSON that decides under which key the times are kept."""
        return {"protocol": PROTOCOL, **self.model_dump(mode="json")}

    def alike(self, other: StepQuestion) -> bool:
        """Whether it is the same question, on whatever machine."""
        return (self.model, self.batch) == (other.model, other.batch)


class StepAnswer(_Plain):
    """The times of steps, and the question that they answer."""

    question: StepQuestion
    times: StepTimes
    load: float = Field(ge=0, description="of the machine, when timing began")


def this_machine(device: torch.device, most_threads: int | None = None) -> TrainingMachine:
    """This machine; torch may use ``most_threads``, by default as many as it does now."""
    on_cpu = device.type == "cpu"
    return TrainingMachine(
        processor=processor.full_model() if on_cpu else torch.cuda.get_device_name(device),
        flags=tuple(processor.vector_flags()) if on_cpu else (),
        threads=most_threads or torch.get_num_threads(),
        torch=torch.__version__,
    )


def kept(question: StepQuestion, artifacts: ArtifactStore) -> StepAnswer | None:
    """The answer in the cache, None if there is none; nothing is timed."""
    if not artifacts.has(KIND, question.identity):
        return None

    def build(_: Path) -> Mapping[str, Any]:
        raise LookupError  # it was damaged, so there is none

    try:
        return _read(artifacts.get(KIND, question.identity, build).path)
    except LookupError:
        return None


def obtain(
    question: StepQuestion, artifacts: ArtifactStore, timed: Callable[[], StepTimes]
) -> StepAnswer:
    """The answer in the cache, or that of ``timed``, which then stays there.

    Raises:
        UserError: if the cache cannot be written, and whatever ``timed`` raises.
    """

    def build(folder: Path) -> None:
        load = os.getloadavg()[0]
        answer = StepAnswer(question=question, times=timed(), load=load)
        write_json(folder / _FILE, answer.model_dump(mode="json"))

    return _read(artifacts.get(KIND, question.identity, build).path)


def _read(folder: Path) -> StepAnswer:
    return StepAnswer.model_validate_json((folder / _FILE).read_text(encoding="utf-8"))


def time_steps(
    model: Encoder,
    batch: BatchShape,
    *,
    vocabulary: int,
    most_threads: int | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> StepTimes:
    """Train ``model`` for a few steps on random token ids, fp32 and bf16 by turns.

    A step is the forward pass, the backward pass of a loss of the logits, clipping and the
    optimiser. The first of each precision is not counted, and has one row: what it makes for later
    steps (moments of the optimiser, kernels) does not depend on the batch. Where one row takes
    :data:`HOPELESS` times as long in bf16, its times are the answer.

    Args:
        model: a fresh one, which is spoilt: its weights move. On the device of training.
        batch: its shape.
        vocabulary: ids are below it.
        most_threads: that torch may use, by default as many as it does now.
        clock: tells seconds.
    """
    device, before = next(model.parameters()).device, torch.get_num_threads()
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(vocabulary, (batch.timed_rows, batch.tokens), generator=generator)
    inputs = {"input_ids": ids.to(device), "attention_mask": torch.ones_like(ids).to(device)}
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(decay_groups([model], 0.01), lr=1e-5, fused=True)
    model.train()

    def step(precision: Precision, rows: int) -> float:
        began = clock()
        with autocast(device, precision):
            output = model(**{name: values[:rows] for name, values in inputs.items()})
        output.logits.float().square().mean().backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return clock() - began

    def pair(rows: int) -> tuple[float, float]:
        return step("fp32", rows), step("bf16", rows)

    pairs: list[tuple[float, float]] = []
    torch.set_num_threads(most_threads or before)
    try:
        with (
            surroundings.exact(),
            threads.fitting([model.width], batch.rows * batch.tokens),
            torch.random.fork_rng(),
        ):
            torch.manual_seed(0)
            pair(1)
            fp32, bf16 = pair(1)
            if bf16 >= HOPELESS * fp32:
                return StepTimes(fp32=(fp32,), bf16=(bf16,))
            end = clock() + BUDGET_S
            while not pairs or (len(pairs) < PAIRS and clock() < end):
                pairs.append(pair(len(ids)))
    finally:
        torch.set_num_threads(before)
    return StepTimes(fp32=tuple(a for a, _ in pairs), bf16=tuple(b for _, b in pairs))
