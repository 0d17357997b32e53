"""What the workers of a pool tell their parent while they work."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from bench.pipeline.watched import Listener
from reaugkd.reporter import Silent

EVERY = 0.2
"""Seconds between two messages about the progress of one stage."""

ENDED = "ended"
"""Name of the event that a cell's record is written; every other name is a listener's method."""


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


class Queue(Protocol):
    """As ``multiprocessing.SimpleQueue``: whoever puts waits until it is written.

    So what a worker told before its result is there before its result.
    """

    def put(self, event: Event) -> None:
        """Write."""

    def get(self) -> Event:
        """Read; waits."""

    def empty(self) -> bool:
        """Whether nothing is there to be read."""


class Unheard(Silent):
    """The default listener: says nothing."""

    def begun(self, key: str) -> None:
        """Ignore the cell."""

    def artifact(self, kind: str, reused: bool, seconds: float) -> None:
        """Ignore the artefact."""


class Sender:
    """The listener in a worker: sends what it is told, progress no more often than need be."""

    def __init__(self, queue: Queue) -> None:
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


def drain(queue: Queue, listener: Callable[[int], Listener], ended: Callable[[str], None]) -> None:
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
