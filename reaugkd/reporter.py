"""How long work tells what it is doing, without the library ever printing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Reporter(Protocol):
    """Receives the progress of long work; the command line shows it, tests ignore it."""

    def note(self, text: str) -> None:
        """A single fact worth a line, e.g. the teacher's scores."""

    def start(self, stage: str, total: int, unit: str = "examples") -> None:
        """A stage of ``total`` units begins (one stage at a time; a new one ends the old)."""

    def advance(self, done: int, values: Mapping[str, float] | None = None) -> None:
        """``done`` more units are finished; ``values`` are named figures such as loss terms."""

    def finish(self) -> None:
        """The current stage has ended."""


class Silent:
    """The default reporter: says nothing."""

    def note(self, *_: Any, **__: Any) -> None:
        """Ignore it."""

    start = advance = finish = note
