"""How long the rest of a run takes, by what its finished cells took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from statistics import fmean
from typing import NamedTuple

SHARED = "shared"
"""Kind of the work that the cells of a task share: fine-tuning its teacher, caching its signals."""


class Work(NamedTuple):
    """Cells that take as long as each other.

    Attributes:
        kind: ``training``, ``retrieval``, ``control`` or :data:`SHARED`.
        what: the method, with the backend of a retrieval cell; empty for :data:`SHARED`.
        task: its name.
        size: what the time of such cells grows with, e.g. training rows times epochs; positive.
        cached: whether its result waits in the cache.
    """

    kind: str
    what: str
    task: str
    size: float
    cached: bool = False


class Left(NamedTuple):
    """An estimate.

    Attributes:
        seconds: until all is done.
        whole: whether it has a figure for every kind of work; else it will take longer.
    """

    seconds: float
    whole: bool


class Pace:
    """Learns what works take.

    Seconds of the same work count most; else those of the same method on another task, or of the
    same kind, in proportion to the size.

    Args:
        works: to be done, one entry per cell.
    """

    def __init__(self, works: Iterable[Work]) -> None:
        self._left = Counter(works)
        self._took: dict[Work, list[float]] = {}
        self._rates: dict[tuple[object, ...], list[float]] = {}

    def learn(self, work: Work, seconds: float) -> None:
        """Such work took ``seconds``."""
        self._took.setdefault(work, []).append(seconds)
        for likeness in _alike(work):
            self._rates.setdefault(likeness, []).append(seconds / work.size)

    def drop(self, work: Work) -> None:
        """One such cell is not left any more."""
        self._left[work] -= 1

    def expected(self, work: Work) -> float | None:
        """Seconds that ``work`` may take; None without anything to go by.

        >>> pace = Pace([])
        >>> pace.learn(Work("training", "kd", "mrpc", 100.0), 20.0)
        >>> pace.expected(Work("training", "kd", "qqp", 400.0))
        80.0
        """
        if work in self._took:
            return fmean(self._took[work])
        for likeness in _alike(work):
            if likeness in self._rates:
                return fmean(self._rates[likeness]) * work.size
        return 0.0 if work.cached else None

    def left(self, running: Iterable[tuple[Work, float]] = (), parallel: int = 1) -> Left | None:
        """How long what is left takes; None while nothing is known of any of it.

        Args:
            running: of what is left, what is being done and for how many seconds already.
            parallel: how many cells are done at a time.
        """
        waiting = [(work, count) for work, count in list(self._left.items()) if count > 0]
        if not waiting:
            return Left(0.0, True)
        known = {
            work: seconds for work, _ in waiting if (seconds := self.expected(work)) is not None
        }
        if not known:
            return None
        total = sum(known[work] * count for work, count in waiting if work in known)
        total -= sum(min(elapsed, known[work]) for work, elapsed in running if work in known)
        return Left(max(0.0, total) / max(1, parallel), len(known) == len(waiting))


def _alike(work: Work) -> tuple[tuple[object, ...], ...]:
    """What work of another task or method has in common with it, the nearest likeness first."""
    return (work.kind, work.what, work.cached), (work.kind, work.cached)
