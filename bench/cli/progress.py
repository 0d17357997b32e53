"""Progress of long work: a bar with rate and loss terms in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from reaugkd.reporter import Reporter


def reporter(console: Console) -> Reporter:
    """The reporter that suits ``console``."""
    return Bars(console) if console.is_terminal else Lines(console)


def of_worker() -> Reporter:
    """The reporter of a pool's worker: whole lines, on which several processes can agree."""
    return Lines(Console(soft_wrap=True))


def _shown(values: Mapping[str, float]) -> str:
    return " ".join(f"{name} {value:.4f}" for name, value in values.items())


class Lines:
    """One line when a stage begins and one when it ends: for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._stage: str | None = None

    def note(self, text: str) -> None:
        """Write ``text``."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def start(self, stage: str, total: int, unit: str = "examples") -> None:
        """Remember the stage; short stages need no line of their own."""
        self.finish()
        self._stage, self._unit, self._done = stage, unit, 0
        self._values: dict[str, float] = {}
        self._began = time.perf_counter()

    def advance(self, done: int, values: Mapping[str, float] | None = None) -> None:
        """Count."""
        self._done += done
        self._values.update(values or {})

    def finish(self) -> None:
        """Write what the stage did and how fast."""
        if self._stage is not None:
            seconds = time.perf_counter() - self._began
            rate = f"{self._done} {self._unit} in {seconds:.1f} s ({self._done / seconds:.0f}/s)"
            self.note(f"  {self._stage}: {rate} {_shown(self._values)}".rstrip())
            self._stage = None


class Bars:
    """A live bar for the stage under way; notes scroll above it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def note(self, text: str) -> None:
        """Write ``text`` above the bar."""
        self._console.print(text, highlight=False, markup=False)

    def start(self, stage: str, total: int, unit: str = "examples") -> None:
        """Show a new bar."""
        self.finish()
        self._progress = Progress(
            TextColumn("  {task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[values]}", markup=False),
            console=self._console,
            transient=True,
        )
        self._unit, self._done, self._began = unit, 0, time.perf_counter()
        self._task = self._progress.add_task(stage, total=total, rate="", values="")
        self._progress.start()

    def advance(self, done: int, values: Mapping[str, float] | None = None) -> None:
        """Move the bar."""
        if self._progress is None or self._task is None:
            return
        self._done += done
        rate = f"{self._done / max(time.perf_counter() - self._began, 1e-9):.0f} {self._unit}/s"
        self._progress.update(self._task, advance=done, rate=rate)
        if values:
            self._progress.update(self._task, values=_shown(values))

    def finish(self) -> None:
        """Take the bar away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
