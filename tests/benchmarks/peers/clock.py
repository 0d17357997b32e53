"""One clock for all tools: it counts what torch's optimisers do, whoever calls them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, NamedTuple

from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook


class Epoch(NamedTuple):
    """One epoch of one tool.

    Attributes:
        student: the trained model, in evaluation mode ``student(**inputs).logits``.
        seconds: from the call of the tool's training to the last step of its optimiser; what it
            evaluates and saves after that is not counted.
        steps: of the optimiser.
        preparing: seconds for the teacher's answers that are kept for all epochs; 0 where the
            teacher answers in every epoch again.
    """

    student: nn.Module
    seconds: float
    steps: int
    preparing: float = 0.0


class Clock:
    """Seconds from its making to the last step, and the steps so far."""

    def __init__(self) -> None:
        self.steps, self.seconds = 0, 0.0
        self._began = perf_counter()

    def step(self, *_: Any) -> None:
        """A step was done."""
        self.steps += 1
        self.seconds = perf_counter() - self._began


@contextmanager
def clock() -> Iterator[Clock]:
    """A clock that every optimiser of torch tells of its steps."""
    started = Clock()
    handle = register_optimizer_step_post_hook(started.step)
    try:
        yield started
    finally:
        handle.remove()
