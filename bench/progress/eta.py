"""How long the rest of a run takes, by what its finished cells took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from bench.cell import Cell
from bench.progress.lines import duration
from reaugkd.distiller import FINE_TUNED

if TYPE_CHECKING:
    from bench.pipeline.workbench import Workbench
    from bench.records.run import Record

TEACHER = "teacher"
"""Kind of the work that the cells of a task share: fine-tuning its teacher, caching its signals."""


class Work(NamedTuple):
    """Cells that take as long as each other: those of a kind, a method (and backend), a task.

    Their time grows with ``size`` > 0, e.g. rows times epochs; ``cached`` ones wait in the cache.
    """

    kind: str
    what: str
    task: str
    size: float
    cached: bool = False

    @property
    def alike(self) -> tuple[tuple[object, ...], ...]:
        """What other work has in common with it, the nearest likeness first."""
        return self, (self.kind, self.what, self.cached), (self.kind, self.cached)


class Left(NamedTuple):
    """Seconds until all is done; more than that unless every kind of work has a figure."""

    seconds: float
    whole: bool

    def __str__(self) -> str:
        return f"{'about' if self.whole else 'over'} {duration(self.seconds)} left"


class Pace:
    """Learns what works take: those that are most alike count, in proportion to their size."""

    def __init__(self, works: Mapping[str, Work]) -> None:
        self._waiting = dict(works)
        self._rates: dict[tuple[object, ...], list[float]] = {}

    def learn(self, work: Work, seconds: float) -> None:
        """Such work took ``seconds``."""
        for likeness in work.alike:
            self._rates.setdefault(likeness, []).append(seconds / work.size)

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
        rates = next((self._rates[like] for like in work.alike if like in self._rates), None)
        if rates is None:
            return 0.0 if work.cached else None
        return sum(rates) / len(rates) * work.size

    def left(self, running: Mapping[str, float], parallel: int = 1) -> Left | None:
        """How long what is left takes; some is ``running`` for so many seconds already."""
        waiting = dict(self._waiting)
        expected = {work: self.expected(work) for work in {*waiting.values()}}
        seconds = {
            key: time for key, work in waiting.items() if (time := expected[work]) is not None
        }
        if waiting and not seconds:
            return None
        spent = sum(min(spent, seconds.get(key, 0.0)) for key, spent in running.items())
        total = max(0.0, sum(seconds.values()) - spent)
        return Left(total / max(1, parallel), len(seconds) == len(waiting))


def seconds_of(record: Record) -> float:
    """What the work of a finished cell took; of a student that is kept with it in the cache."""
    if (training := record.training) is None:
        return record.seconds
    return training.seconds + sum(stage.seconds for stage in training.cost.stages)


def teacher_of(task: str) -> str:
    """Key of the work of a task's teacher."""
    return f"{TEACHER} of {task}"


def works(planned: Iterable[Cell], workbench: Workbench) -> dict[str, Work]:
    """The work of every cell that can run, and of every teacher that is not in the cache."""
    by_key: dict[str, Work] = {}
    for cell in planned:
        if cell.skip is not None:
            continue
        pipeline, config, task = workbench.pipeline(cell.config), cell.config, cell.task
        rows = max(1, len(pipeline.rows.data.fit))
        if cell.kind == "training":
            student = pipeline.student_identity(cell.method, cell.seed)
            size = rows * max(1, config.student.recipe.epochs)
            cached = pipeline.artifacts.has("student", student)
            by_key[cell.key] = Work(cell.kind, cell.method, task, size, cached)
        else:
            what = " ".join(filter(None, (cell.method, cell.backend)))
            by_key[cell.key] = Work(cell.kind, what, task, rows)
        teacher, taught = pipeline.teacher, pipeline.needs(cell.method) & FINE_TUNED
        if taught and not teacher.artifacts.has("teacher", teacher.identity):
            size = rows * max(1, config.teacher.recipe.epochs)
            by_key[teacher_of(task)] = Work(TEACHER, "", task, size)
    return by_key
