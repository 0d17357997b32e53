"""A kill inside a stage of a method, and what is done again afterwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from reaugkd.reporter import Silent
from reaugkd.training.checkpoint import Checkpoint
from tests.baselines.cases import Stopped


@contextmanager
def killed() -> Iterator[None]:
    """What runs inside saves its state after every step, and is stopped by a :class:`Watch`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "due", lambda _: True)
        with pytest.raises(Stopped):
            yield


class Watch(Silent):
    """Counts the reports of progress of every stage, and stops where it is told to.

    Args:
        stage: beginning of the title of the stage to stop in.
        at: number of the report (a batch each) at which to stop; 0 is never.
    """

    def __init__(self, stage: str = "", at: int = 0) -> None:
        self.seen: Counter[str] = Counter()
        self._stage, self._at, self._left, self._title = stage, at, at, ""

    def start(self, stage: str, total: int, unit: str = "examples") -> None:
        """Another stage; each of its epochs has a title of its own."""
        self._title = stage

    def advance(self, done: int, values: Mapping[str, float] | None = None) -> None:
        """One more batch of the present stage."""
        self.seen[self._title] += 1
        if self._at and self._title.startswith(self._stage):
            self._left -= 1
            if self._left == 0:
                raise Stopped

    def batches(self, stage: str) -> int:
        """Batches seen of all stages whose title begins with ``stage``."""
        return sum(count for title, count in self.seen.items() if title.startswith(stage))
