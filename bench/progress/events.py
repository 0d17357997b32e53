"""What a process tells while it works: remembered by a desk, sent on by the workers of a pool."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from multiprocessing.queues import SimpleQueue
from typing import Any, NamedTuple

from bench.pipeline.watched import Listener

Clock = Callable[[], float]

EVERY = 0.2
"""Seconds between two messages about the progress of one stage."""

ENDED = "ended"
"""Name of the event that a cell's record is written; every other name is a listener's method."""

SHARED = frozenset({"tokens", "teacher", "signals", "cross-fit", "cross-fit-fold"})
"""Kinds of artefacts that the cells of a task share."""


@dataclass(frozen=True)
class RunningStage:
    """A stage of long work.

    Attributes:
        name: e.g. ``MRPC kd seed 0: epoch 1/6``.
        total: units it consists of.
        unit: what is counted.
        began: by the clock.
        done: units so far.
        values: the last figures, e.g. loss terms.
    """

    name: str
    total: int
    unit: str
    began: float
    done: int = 0
    values: Mapping[str, float] = field(default_factory=dict)

    def rate(self, now: float) -> float:
        """Units per second."""
        return self.done / max(now - self.began, 1e-9)


class Desk:
    """A listener that remembers what one process does; those that show something derive from it.

    Another thread draws it: whatever changes is replaced whole, nothing is changed in place.

    Attributes:
        key: of the cell under way.
        began: when it began.
        stage: under way.
        reused: kinds of the artefacts that the cell found in the cache.
        made: kinds of those that it made.
        shared: seconds for what other cells of the task need too.
    """

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self.clock = clock
        self.stage: RunningStage | None = None
        self.begun(None)

    def begun(self, key: str | None) -> None:
        """Begin a cell, or nothing after the last one."""
        self.key, self.began, self.shared = key, self.clock(), 0.0
        self.reused: frozenset[str] = frozenset()
        self.made: frozenset[str] = frozenset()

    @property
    def elapsed(self) -> float:
        """Seconds of the cell under way, without what others need too."""
        return self.clock() - self.began - self.shared

    def note(self, text: str) -> None:
        """Nothing to remember."""

    def start(self, stage: str, total: int, unit: str = "examples") -> None:
        """Begin a stage."""
        self.finish()
        self.stage = RunningStage(stage, total, unit, self.clock())

    def advance(self, done: int, values: Mapping[str, float] | None = None) -> None:
        """Count."""
        if self.stage is not None:
            values = {**self.stage.values, **(values or {})}
            self.stage = replace(self.stage, done=self.stage.done + done, values=values)

    def finish(self) -> None:
        """The stage has ended."""
        self.stage = None

    def artifact(self, kind: str, reused: bool, seconds: float) -> None:
        """Remember what was found and what was made."""
        self.shared += seconds if kind in SHARED else 0.0
        if reused:
            self.reused |= {kind}
        else:
            self.made |= {kind}


class Event(NamedTuple):
    """Something a worker tells.

    Attributes:
        worker: its process id.
        name: of a method of :class:`bench.pipeline.watched.Listener`, or :data:`ENDED`.
        arguments: of that method; of :data:`ENDED` the cell's key.
    """

    worker: int
    name: str
    arguments: tuple[Any, ...]


class Sender:
    """The listener in a worker: sends what it is told, progress no more often than need be.

    Whoever puts into a simple queue waits until it is written, so what a worker told before its
    result is there before its result.
    """

    def __init__(self, queue: SimpleQueue[Event]) -> None:
        self._queue = queue
        self._done, self._values, self._sent = 0, dict[str, float](), 0.0

    def note(self, text: str) -> None:
        """Send ``text``."""
        self._send("note", text)

    def start(self, stage: str, total: int, unit: str = "examples") -> None:
        """Send the stage."""
        self._flush()
        self._send("start", stage, total, unit)

    def advance(self, done: int, values: Mapping[str, float] | None = None) -> None:
        """Count, and send the count if the last one was sent long enough ago."""
        self._done += done
        self._values.update(values or {})
        if time.monotonic() - self._sent >= EVERY:
            self._flush()

    def finish(self) -> None:
        """Send the end."""
        self._flush()
        self._send("finish")

    def begun(self, key: str) -> None:
        """Send the cell that begins."""
        self._send("begun", key)

    def ended(self, key: str) -> None:
        """Send the cell whose record is written."""
        self._send(ENDED, key)

    def artifact(self, kind: str, reused: bool, seconds: float) -> None:
        """Send the artefact."""
        self._send("artifact", kind, reused, seconds)

    def _flush(self) -> None:
        if self._done or self._values:
            self._send("advance", self._done, self._values)
            self._done, self._values = 0, {}
        self._sent = time.monotonic()

    def _send(self, name: str, *arguments: Any) -> None:
        self._queue.put(Event(os.getpid(), name, arguments))


def drain(
    queue: SimpleQueue[Event], listener: Callable[[int], Listener], ended: Callable[[str], None]
) -> None:
    """Pass on every event that is there, in order, without waiting for more.

    Args:
        queue: what workers write to.
        listener: worker's process id -> who is told.
        ended: told the key of every cell whose record is written.
    """
    while not queue.empty():
        event = queue.get()
        if event.name == ENDED:
            ended(*event.arguments)
        else:
            getattr(listener(event.worker), event.name)(*event.arguments)
