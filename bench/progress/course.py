"""The course of a run: what is done, what is left, and the scores so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from bench.cell import Cell
from bench.progress.desk import CLOCK, Activity, Clock
from bench.progress.eta import Left, Pace, Work, seconds_of, teacher_of
from bench.records.run import Record

Row = tuple[str, str]
"""A method, and whether it queries the first knowledge base of the plan: ``off`` or ``on``."""

Scores = Mapping[str, tuple[float, ...]]
"""Task -> test scores of all seeds so far, by the task's selection metric."""


class Course:
    """The ``planned`` cells of one call of ``bench run``: those ``todo``, and records ``before``.

    ``past`` is what works of other runs took, in seconds.

    Another thread draws it: what it shows is replaced whole, never changed in place.

    Attributes:
        counts: status -> how many have ended with it.
        titles: of the tasks that are scored.
    """

    def __init__(
        self,
        planned: Sequence[Cell],
        todo: Sequence[Cell],
        before: Iterable[Record] = (),
        works: Mapping[str, Work] | None = None,
        workers: int = 1,
        past: Iterable[tuple[Work, float]] = (),
        clock: Clock = CLOCK,
    ) -> None:
        self.cells = {cell.key: cell for cell in planned}
        self.todo, self.counts = todo, Counter[str]()
        self._workers, self._clock, self._began = workers, clock, clock()
        self._students = Counter(cell.student for cell in todo)
        self.titles: Mapping[str, str] = {}
        self.scores: Mapping[Row, Scores] = {}
        searches = [cell for cell in reversed(planned) if cell.kind == "retrieval"]
        self._first = {(cell.task, cell.method, cell.seed): cell.key for cell in searches}
        works, left = works or {}, {cell.key for cell in todo}
        left |= {teacher_of(cell.task) for cell in todo}
        self._pace = Pace({key: work for key, work in works.items() if key in left})
        for record in before:
            self._score(record)
            if record.status == "ok" and record.key in works:
                self._pace.learn(works[record.key]._replace(cached=False), seconds_of(record))
        for work, seconds in past:
            self._pace.learn(work, seconds)

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._began

    def ended(self, cell: Cell, record: Record, activity: Activity) -> None:
        """A cell has ended; ``activity`` is how its process did it."""
        self.counts[record.status] += 1
        self._students[cell.student] -= 1
        self._score(record)
        shared, trained = activity.shared, "teacher" in activity.made
        self._pace.done(cell.key, record.seconds - shared if record.status == "ok" else None)
        if trained or "teacher" in activity.reused:
            self._pace.done(teacher_of(cell.task), shared if trained else None)

    def left(self, activities: Iterable[Activity] = ()) -> Left | None:
        """How long the rest takes, ``activities`` being under way; None while nothing is known."""
        now = self._clock()
        running = {a.key: now - a.began - a.shared for a in activities if a.key is not None}
        students = sum(count > 0 for count in list(self._students.values()))
        return self._pace.left(running, min(self._workers, students))

    def _score(self, record: Record) -> None:
        """Put in what a finished cell scored; what failed or was skipped has no score."""
        split, metric = record.tests[0], record.select_on
        if record.status != "ok":
            return
        first = self._first.get((record.task, record.method, record.seed))
        if record.training is not None:
            row, score = (record.method, "off"), record.training.scores[split][metric]
        elif record.retrieval is not None and record.key == first:
            row, score = (record.method, "on"), record.retrieval.chosen.scores[split][metric]
        else:
            return
        tasks = self.scores.get(row, {})
        tasks = {**tasks, record.task: (*tasks.get(record.task, ()), score)}
        self.titles = {**self.titles, record.task: record.title}
        self.scores = {**self.scores, row: tasks}
