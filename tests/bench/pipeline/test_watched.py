"""A watched store tells of every artefact once, with the seconds of its own."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bench.pipeline.watched import WatchedStore
from reaugkd.reporter import Silent


class Told(Silent):
    def __init__(self) -> None:
        self.found: list[tuple[str, bool, float]] = []

    def begun(self, key: str | None) -> None: ...

    def artifact(self, kind: str, reused: bool, seconds: float) -> None:
        self.found.append((kind, reused, seconds))


def test_what_it_needs_is_told_first_and_its_seconds_are_not_counted_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    told = Told()
    store = WatchedStore(tmp_path, told)

    def teacher(folder: Path) -> None:
        nonlocal now
        now += 10.0

    def student(folder: Path) -> None:
        nonlocal now
        now += 1.0
        store.get("teacher", {"of": "mrpc"}, teacher)
        now += 2.0

    made = store.get("student", {"seed": 0}, student)
    assert told.found == [("teacher", False, 10.0), ("student", False, 3.0)]
    assert store.get("student", {"seed": 0}, student).path == made.path
    assert len(told.found) == 2  # once

    again = Told()
    assert WatchedStore(tmp_path, again).get("student", {"seed": 0}, student).reused
    assert again.found == [("student", True, 0.0)]
