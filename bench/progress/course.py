"""The course of a run: what is done, what is left, and the scores so far."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from bench.cell import Cell
from bench.progress.eta import TEACHER, Left, Pace, Work
from bench.progress.events import Clock, Desk
from bench.records.run import Record

OFF, ON = "off", "on"
Row = tuple[str, str]
"""A method, and whether it queries the first knowledge base of the plan: ``off`` or ``on``."""

Scores = Mapping[str, tuple[float, ...]]
"""Task -> test scores of all seeds so far, by the task's selection metric."""


class Course:
    """The cells of one call of ``bench run``.

    Another thread draws it: what it shows is replaced whole, never changed in place.

    Args:
        planned: all of them.
        todo: those that are to be done now.
        before: records of the others.
        works: key of a cell -> what it takes time like; a cell that cannot run has none.
        teachers: task -> work that its cells need done first.
        workers: how many processes.
        clock: tells the time.

    Attributes:
        cells: all that are planned, by key.
        total: how many are to be done now.
        counts: status -> how many have ended with it.
        titles: task -> its title, of those that are scored.
        scores: of every row that is scored, the newest last.
    """

    def __init__(
        self,
        planned: Sequence[Cell],
        todo: Sequence[Cell],
        before: Iterable[Record] = (),
        works: Mapping[str, Work] | None = None,
        teachers: Mapping[str, Work] | None = None,
        workers: int = 1,
        clock: Clock = time.perf_counter,
    ) -> None:
        self.cells = {cell.key: cell for cell in planned}
        self.total, self.counts = len(todo), Counter[str]()
        self._workers, self._clock, self._began = workers, clock, clock()
        self._students = Counter(cell.student for cell in todo)
        self.titles: Mapping[str, str] = {}
        self.scores: Mapping[Row, Scores] = {}
        first: dict[tuple[str, str, int], str] = {}
        for cell in planned:
            if cell.kind == "retrieval":
                first.setdefault((cell.task, cell.method, cell.seed), cell.key)
        self._first = set(first.values())
        works = works or {}
        self._teachers = dict(teachers or {})
        left = {cell.key: works[cell.key] for cell in todo if cell.key in works}
        self._pace = Pace(left | {_key(task): w for task, w in self._teachers.items()})
        for record in before:
            self._score(record)
            if record.status == "ok" and record.key in works:
                work = works[record.key]._replace(cached=False)
                self._pace.learn(work, _made_in(record))

    @property
    def done(self) -> int:
        """Cells that have ended, however."""
        return self.counts.total()

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._began

    def ended(self, cell: Cell, record: Record, desk: Desk | None = None) -> None:
        """A cell has ended at ``desk``, where that is known."""
        self.counts[record.status] += 1
        self._students[cell.student] -= 1
        self._score(record)
        shared = desk.shared if desk else 0.0
        self._pace.done(cell.key, record.seconds - shared if record.status == "ok" else None)
        if desk and "teacher" in desk.made | desk.reused and cell.task in self._teachers:
            del self._teachers[cell.task]
            self._pace.done(_key(cell.task), shared if "teacher" in desk.made else None)

    def left(self, desks: Iterable[Desk] = ()) -> Left | None:
        """How long the rest takes, ``desks`` being at work; None while nothing is known."""
        running = {desk.key: desk.elapsed for desk in desks if desk.key is not None}
        students = sum(count > 0 for count in list(self._students.values()))
        return self._pace.left(running, min(self._workers, students))

    def _score(self, record: Record) -> None:
        """Put in what a finished cell scored; what failed or was skipped has no score."""
        split, metric = record.tests[0], record.select_on
        if record.status != "ok":
            return
        if record.training is not None:
            row, score = (record.method, OFF), record.training.scores[split][metric]
        elif record.retrieval is not None and record.key in self._first:
            row, score = (record.method, ON), record.retrieval.chosen.scores[split][metric]
        else:
            return
        scores = dict(self.scores)
        tasks = scores.pop(row, {})
        scores[row] = {**tasks, record.task: (*tasks.get(record.task, ()), score)}
        self.titles = {**self.titles, record.task: record.title}
        self.scores = scores


def _key(task: str) -> str:
    """Key of the work of a task's teacher."""
    return f"{TEACHER} of {task}"


def _made_in(record: Record) -> float:
    """Seconds that a cell took by itself; a student's are kept with it in the cache."""
    if record.training is None:
        return record.seconds
    return record.training.seconds + sum(stage.seconds for stage in record.training.cost.stages)
