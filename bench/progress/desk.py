"""What a process does now: its cell, its stage, what it found and what it made."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from bench.progress.lines import figures

EVERY = 0.2
"""Seconds between two reports of the progress of one stage."""

SHARED = frozenset({"tokens", "teacher", "signals", "cross-fit", "cross-fit-fold"})
"""Kinds of artefacts that the cells of a task share."""

Clock = Callable[[], float]
CLOCK: Clock = time.monotonic
"""All processes of a machine share it."""


@dataclass(frozen=True)
class RunningStage:
    """A stage of long work: ``done`` of ``total`` units, with its last figures."""

    name: str
    total: int
    unit: str
    began: float
    done: int = 0
    values: Mapping[str, float] = field(default_factory=dict)

    def rate(self, now: float) -> float:
        """Units per second."""
        return self.done / max(now - self.began, 1e-9)


@dataclass(frozen=True)
class Activity:
    """What one process does; replaced whole, for another thread draws it.

    Attributes:
        key: of the cell under way.
        shared: seconds of it for what other cells of the task need too.
        reused, made: kinds of the artefacts that it found in the cache, and that it made.
    """

    key: str | None = None
    began: float = 0.0
    shared: float = 0.0
    reused: frozenset[str] = frozenset()
    made: frozenset[str] = frozenset()
    stage: RunningStage | None = None


class Desk:
    """A listener that hands on lines worth keeping, and what its process does when it changes.

    With ``lines`` a stage that has ended is worth a line.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        show: Callable[[Activity], None],
        lines: bool,
        clock: Clock = CLOCK,
    ) -> None:
        self._write, self._show, self._lines, self._clock = write, show, lines, clock
        self.activity, self._shown = Activity(), 0.0

    def note(self, text: str) -> None:
        """Write ``text``."""
        self._write(text)

    def begun(self, key: str | None) -> None:
        """Begin a cell, or nothing after the last one."""
        self._now(Activity(key, self._clock()))

    def start(self, stage: str, total: int, unit: str = "examples") -> None:
        """Begin a stage."""
        self.finish()
        self._now(replace(self.activity, stage=RunningStage(stage, total, unit, self._clock())))

    def advance(self, done: int, values: Mapping[str, float] | None = None) -> None:
        """Count."""
        if stage := self.activity.stage:
            stage = replace(
                stage, done=stage.done + done, values={**stage.values, **(values or {})}
            )
            self.activity = replace(self.activity, stage=stage)
            if self._clock() - self._shown >= EVERY:
                self._now(self.activity)

    def finish(self) -> None:
        """End the stage; short ones need no line when they begin."""
        stage, now = self.activity.stage, self._clock()
        if stage and self._lines:
            rate = f"in {now - stage.began:.1f} s ({stage.rate(now):.0f}/s)"
            did = f"{stage.done} {stage.unit} {rate} {figures(stage.values)}".rstrip()
            self.note(f"  {stage.name}: {did}")
        if stage:
            self._now(replace(self.activity, stage=None))

    def artifact(self, kind: str, reused: bool, seconds: float) -> None:
        """Remember what was found and what was made."""
        now, kinds = self.activity, "reused" if reused else "made"
        shared = now.shared + (seconds if kind in SHARED else 0.0)
        self._now(replace(now, shared=shared, **{kinds: getattr(now, kinds) | {kind}}))

    def _now(self, activity: Activity) -> None:
        self.activity, self._shown = activity, self._clock()
        self._show(activity)
