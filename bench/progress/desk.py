"""What one process does now: a cell, a stage of it, and what it found in the cache.

Another thread draws it: whatever changes is replaced whole, nothing is changed in place.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

Clock = Callable[[], float]


@dataclass(frozen=True)
class Stage:
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

    def left(self, now: float) -> float | None:
        """Seconds until its end; None before anything is done."""
        return max(0, self.total - self.done) / self.rate(now) if self.done else None


class Desk:
    """A listener that remembers; those that show something derive from it.

    Attributes:
        key: of the cell under way.
        began: when it began.
        stage: under way.
        reused: kinds of the artefacts that the cell found in the cache.
        made: kinds of those that it made.
        shared: seconds for what other cells of the task need too.
    """

    SHARED = frozenset({"tokens", "teacher", "signals", "cross-fit", "cross-fit-fold"})
    """Artefacts that the cells of a task share."""

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self.clock = clock
        self.stage: Stage | None = None
        self.key: str | None = None
        self.leave()

    def leave(self) -> None:
        """The cell has ended."""
        self.key, self.began = None, self.clock()
        self.reused: tuple[str, ...] = ()
        self.made: tuple[str, ...] = ()
        self.shared = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds of the cell under way, without what others need too."""
        return self.clock() - self.began - self.shared

    def note(self, text: str) -> None:
        """Nothing to remember."""

    def start(self, stage: str, total: int, unit: str = "examples") -> None:
        """Begin a stage."""
        self.finish()
        self.stage = Stage(stage, total, unit, self.clock())

    def advance(self, done: int, values: Mapping[str, float] | None = None) -> None:
        """Count."""
        if self.stage is not None:
            values = {**self.stage.values, **(values or {})}
            self.stage = replace(self.stage, done=self.stage.done + done, values=values)

    def finish(self) -> None:
        """The stage has ended."""
        self.stage = None

    def begun(self, key: str) -> None:
        """Begin a cell."""
        self.leave()
        self.key = key

    def artifact(self, kind: str, reused: bool, seconds: float) -> None:
        """Remember what was found and what was made."""
        if kind in self.SHARED:
            self.shared += seconds
        if reused:
            self.reused = (*dict.fromkeys((*self.reused, kind)),)
        else:
            self.made = (*dict.fromkeys((*self.made, kind)),)
