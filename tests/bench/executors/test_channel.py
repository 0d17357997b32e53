"""What a worker tells arrives whole and in order, with few messages."""

from __future__ import annotations

import os
from collections import deque
from typing import Any

import pytest

from bench.executors import channel
from bench.executors.channel import ENDED, Event, Sender, drain


class Pipe(deque[Event]):
    """A queue in one process."""

    def put(self, event: Event) -> None:
        self.append(event)

    def get(self) -> Event:
        return self.popleft()

    def empty(self) -> bool:
        return not self


class Heard:
    """Writes down every call."""

    def __init__(self, into: list[tuple[Any, ...]]) -> None:
        self.into = into

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.into.append((name, *arguments))


def told(pipe: Pipe) -> list[tuple[Any, ...]]:
    heard: list[tuple[Any, ...]] = []
    workers = set()

    def listener(worker: int) -> Any:
        workers.add(worker)
        return Heard(heard)

    drain(pipe, listener, lambda key: heard.append((ENDED, key)))
    assert pipe.empty()
    assert workers <= {os.getpid()}
    return heard


def test_everything_arrives_in_order() -> None:
    pipe = Pipe()
    sender = Sender(pipe)
    sender.begun("a")
    sender.note("hello")
    sender.artifact("teacher", True, 0.5)
    sender.start("train", 10, "rows")
    sender.finish()
    sender.ended("a")
    assert told(pipe) == [
        ("begun", "a"),
        ("note", "hello"),
        ("artifact", "teacher", True, 0.5),
        ("start", "train", 10, "rows"),
        ("finish",),
        (ENDED, "a"),
    ]
    assert told(pipe) == []


def test_no_progress_is_lost_though_most_of_it_is_not_sent_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(channel.time, "monotonic", lambda: now)
    pipe = Pipe()
    sender = Sender(pipe)
    sender.start("one", 1000)
    for number in range(1000):
        now += 0.001
        sender.advance(1, {"loss": float(number)})
    sender.start("two", 5)
    sender.advance(5)
    sender.finish()
    heard = told(pipe)
    first = heard[: heard.index(("start", "two", 5, "examples"))]
    counts = [one for one in first if one[0] == "advance"]
    assert sum(one[1] for one in counts) == 1000
    assert counts[-1][2] == {"loss": 999.0}
    assert len(counts) <= 1 / channel.EVERY + 2
    assert heard[-2:] == [("advance", 5, {}), ("finish",)]


def test_one_message_is_written_at_once() -> None:
    """A pipe takes up to 4,096 bytes whole, so a worker that is killed leaves no half."""
    import pickle

    values = {f"a term of the loss {number}": 0.123456789 for number in range(20)}
    for arguments in ((12345, values), ("x" * 1000,)):
        assert len(pickle.dumps(Event(1, "advance", arguments))) < 4096
