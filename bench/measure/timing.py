"""The measuring loop: what a plain forward costs, and what retrieval adds to another one.

Pure code over callables; it knows of no model and no index.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Input = TypeVar("Input")
Output = TypeVar("Output")

Nanoseconds = NDArray[np.int64]


class Laps(NamedTuple):
    """What one process timed: nanoseconds per batch, [rounds, batches].

    Attributes:
        forward: of a forward that is followed by retrieval.
        added: of everything that follows it.
        plain: of a forward alone, on the same batch in the same round.
    """

    forward: Nanoseconds
    added: Nanoseconds
    plain: Nanoseconds


def interleaved(
    batches: Sequence[Input],
    forward: Callable[[Input], Output],
    added: Callable[[Output], object],
    *,
    rounds: int,
    warmup: int,
    between: Callable[[int, Output], None] | None = None,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> Laps:
    """Time every batch plain and augmented, one after the other, ``rounds`` times.

    Which of the two comes first alternates with the parity of round + batch, so that neither of
    them always finds what the other left in the caches.

    Args:
        batches: the inputs, in the order they are run.
        forward: the student.
        added: all that retrieval does with the forward's output.
        rounds: passes over the batches.
        warmup: batches that are run both ways before, untimed; from the first on again if there
            are fewer.
        between: called with the number of the batch and the forward's output before ``added``,
            untimed.
        clock: nanoseconds.

    Raises:
        ValueError: if there are no batches or no rounds: nothing would be measured.
    """
    if not batches or rounds < 1:
        raise ValueError(f"nothing to measure: {len(batches)} batches, {rounds} rounds")
    laps = Laps(*(np.zeros((rounds, len(batches)), np.int64) for _ in Laps._fields))

    def plain(number: int) -> int:
        batch = batches[number]
        start = clock()
        output = forward(batch)
        end = clock()
        del output  # its memory is given back outside of the time, as in `augmented`
        return end - start

    def augmented(number: int) -> tuple[int, int]:
        batch = batches[number]
        start = clock()
        output = forward(batch)
        middle = clock()
        if between is not None:
            between(number, output)
        resumed = clock()
        answer = added(output)
        end = clock()
        del output, answer
        return middle - start, end - resumed

    for at in range(warmup):
        plain(at % len(batches))
        augmented(at % len(batches))
    for lap in range(rounds):
        for number in range(len(batches)):
            if (lap + number) % 2:
                laps.plain[lap, number] = plain(number)
                laps.forward[lap, number], laps.added[lap, number] = augmented(number)
            else:
                laps.forward[lap, number], laps.added[lap, number] = augmented(number)
                laps.plain[lap, number] = plain(number)
    return laps


@contextmanager
def quiet_gc() -> Iterator[None]:
    """No garbage collection inside: what exists is frozen, and no pass falls into a lap."""
    enabled = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if enabled:
            gc.enable()


def delayed(call: Callable[[Input], Output], microseconds: float) -> Callable[[Input], Output]:
    """``call`` and then a busy wait: sleeping would be longer than asked for, and idle."""
    if not microseconds:
        return call
    wait = round(1000 * microseconds)

    def slower(value: Input) -> Output:
        result = call(value)
        end = time.perf_counter_ns() + wait
        while time.perf_counter_ns() < end:
            pass
        return result

    return slower
