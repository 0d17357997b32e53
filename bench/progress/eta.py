"""How long the rest of a run takes, by what its finished cells took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from bench.cell import Cell
from reaugkd.distiller import FINE_TUNED

if TYPE_CHECKING:
    from bench.pipeline.workbench import Workbench

TEACHER = "teacher"
"""Kind of the work that the cells of a task share: fine-tuning its teacher, caching its signals."""


class Work(NamedTuple):
    """Cells that take as long as each other.

    Attributes:
        kind: ``training``, ``retrieval``, ``control`` or :data:`TEACHER`.
        what: the method, with the backend of a retrieval cell; empty for :data:`TEACHER`.
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
        works: key of a cell (or of a teacher) -> the work that is to be done.
    """

    def __init__(self, works: Mapping[str, Work]) -> None:
        self._waiting = dict(works)
        self._rates: dict[tuple[object, ...], tuple[float, int]] = {}

    def learn(self, work: Work, seconds: float) -> None:
        """Such work took ``seconds``."""
        for likeness in _alike(work):
            total, count = self._rates.get(likeness, (0.0, 0))
            self._rates[likeness] = total + seconds / work.size, count + 1

    def done(self, key: str, seconds: float | None = None) -> None:
        """The work of ``key`` is not left any more; it took ``seconds``, if it ended well."""
        work = self._waiting.pop(key, None)
        if work is not None and seconds is not None:
            self.learn(work, max(0.0, seconds))

    def expected(self, work: Work) -> float | None:
        """Seconds that ``work`` may take; None without anything to go by.

        >>> pace = Pace({})
        >>> pace.learn(Work("training", "kd", "mrpc", 100.0), 20.0)
        >>> pace.expected(Work("training", "kd", "qqp", 400.0))
        80.0
        """
        for likeness in _alike(work):
            if likeness in self._rates:
                total, count = self._rates[likeness]
                return total / count * work.size
        return 0.0 if work.cached else None

    def left(self, running: Mapping[str, float], parallel: int = 1) -> Left | None:
        """How long what is left takes; None while nothing is known of any of it.

        Args:
            running: key of what is being done -> for how many seconds already.
            parallel: how many cells are done at a time.
        """
        waiting = Counter(list(self._waiting.values()))
        expected = {work: self.expected(work) for work in waiting}
        known = {work: seconds for work, seconds in expected.items() if seconds is not None}
        if waiting and not known:
            return None
        total = sum(known[work] * waiting[work] for work in known)
        for key, elapsed in running.items():
            if (work := self._waiting.get(key)) and work in known:
                total -= min(elapsed, known[work])
        return Left(max(0.0, total) / max(1, parallel), len(known) == len(waiting))


def _alike(work: Work) -> tuple[tuple[object, ...], ...]:
    """What other work has in common with it, the nearest likeness first."""
    return work, (work.kind, work.what, work.cached), (work.kind, work.cached)


def works(planned: Iterable[Cell], workbench: Workbench) -> dict[str, Work]:
    """Key of every cell that can run -> what it takes time like; nothing is made for it."""
    return {cell.key: _work(cell, workbench) for cell in planned if cell.skip is None}


def _work(cell: Cell, workbench: Workbench) -> Work:
    pipeline = workbench.pipeline(cell.config)
    rows = max(1, len(pipeline.rows.data.fit))
    if cell.kind != "training":
        what = " ".join(filter(None, (cell.method, cell.backend)))
        return Work(cell.kind, what, cell.task, rows)
    student = pipeline.student_identity(cell.method, cell.seed)
    size = rows * max(1, cell.config.student.recipe.epochs)
    cached = pipeline.artifacts.has("student", student)
    return Work("training", cell.method, cell.task, size, cached)


def teachers(todo: Iterable[Cell], workbench: Workbench) -> dict[str, Work]:
    """Task -> the teacher that its cells of ``todo`` need and the cache does not hold."""
    works: dict[str, Work] = {}
    for cell in todo:
        pipeline = workbench.pipeline(cell.config)
        if cell.skip or cell.task in works or not pipeline.needs(cell.method) & FINE_TUNED:
            continue
        teacher = pipeline.teacher
        if not teacher.artifacts.has("teacher", teacher.identity):
            epochs = cell.config.teacher.recipe.epochs
            size = max(1, len(pipeline.rows.data.fit)) * max(1, epochs)
            works[cell.task] = Work(TEACHER, "", cell.task, size)
    return works
