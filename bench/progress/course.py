"""The course of a run: what is done, what is left, and how long that takes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from bench.cell import Cell
from bench.plan import Planned
from bench.progress.board import Board
from bench.progress.desk import Clock, Desk
from bench.progress.eta import Left, Pace, Work
from bench.records.run import Record


class Course:
    """The cells of one call of ``bench run``.

    Args:
        planned: all of them.
        todo: those that are to be done now.
        before: records of the others.
        works: key of a cell -> what it takes time like; a cell that cannot run has none.
        teachers: work that several cells of a task need done first.
        workers: how many processes.
        clock: tells the time.

    Attributes:
        cells: all that are planned, by key.
        total: how many are to be done now.
        there: how many need not be done.
        counts: status -> how many have ended with it.
        cached: how many students of ``todo`` wait in the cache.
        board: what was scored so far.
    """

    def __init__(
        self,
        planned: Sequence[Planned],
        todo: Sequence[Planned],
        before: Iterable[Record] = (),
        works: Mapping[str, Work] | None = None,
        teachers: Iterable[Work] = (),
        workers: int = 1,
        clock: Clock = time.perf_counter,
    ) -> None:
        self.cells = {one.cell.key: one.cell for one in planned}
        self.total, self.there = len(todo), len(planned) - len(todo)
        self.counts = Counter[str]()
        self.board = Board(list(self.cells.values()))
        self._workers, self._clock, self._began = workers, clock, clock()
        self._works = dict(works or {})
        self._teachers = {work.task: work for work in teachers}
        self._groups = Counter(one.cell.needs or one.cell.key for one in todo)
        left = [self._works[p.cell.key] for p in todo if p.cell.key in self._works]
        self.cached = sum(work.cached for work in left)
        self._pace = Pace([*left, *self._teachers.values()])
        there = list(before)
        self.board.add(*there)
        for record in there:
            if record.status == "ok" and record.key in self._works:
                work = self._works[record.key]._replace(cached=False)
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
        self._groups[cell.needs or cell.key] -= 1
        self.board.add(record)
        shared = desk.shared if desk else 0.0
        if work := self._works.get(cell.key):
            self._pace.drop(work)
            if record.status == "ok":
                self._pace.learn(work, max(0.0, record.seconds - shared))
        if desk and "teacher" in (*desk.made, *desk.reused) and cell.task in self._teachers:
            teacher = self._teachers.pop(cell.task)
            self._pace.drop(teacher)
            if "teacher" in desk.made:
                self._pace.learn(teacher, shared)

    def left(self, desks: Iterable[Desk] = ()) -> Left | None:
        """How long the rest takes, ``desks`` being at work; None while nothing is known."""
        at_work = [(self._works[d.key], d.elapsed) for d in desks if d.key in self._works]
        groups = sum(count > 0 for count in list(self._groups.values()))
        return self._pace.left(at_work, min(self._workers, groups))


def _made_in(record: Record) -> float:
    """Seconds that a cell took by itself; a student's are kept with it in the cache."""
    if record.training is None:
        return record.seconds
    return record.training.seconds + sum(one.seconds for one in record.training.cost.stages)
