"""What a run shows: lines in a pipe; in a terminal a view below them, gone at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from statistics import fmean

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bench.progress.course import Course
from bench.progress.desk import CLOCK, Activity, Desk
from bench.progress.lines import duration, figures

PER_SECOND = 4
"""How often the view is drawn anew: often enough to look alive, too seldom to slow training."""


class RunView:
    """Shows what all processes do (0 is this one) and, once a run has begun, its course.

    A terminal that cannot move its cursor gets the lines of a pipe. Outside of a run the view is
    there only while a stage is.
    """

    def __init__(self, console: Console) -> None:
        self.console, self.lines = console, not console.is_interactive
        self.activities: dict[int, Activity] = {}
        self._course: Course | None = None
        self._live: Live | None = None

    def desk(self) -> Desk:
        """The desk of this process."""
        return Desk(self.note, partial(self.show, 0), self.lines)

    def note(self, text: str) -> None:
        """Write a line that stays."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def show(self, worker: int, activity: Activity) -> None:
        """What a process does now."""
        self.activities = {**self.activities, worker: activity}
        if self._course is None and activity.stage is None:
            self.close()
        else:
            self._open()

    def begin(self, course: Course) -> None:
        """Show the course from now on."""
        self._course = course
        self._open()

    def _open(self) -> None:
        if self._live is None and not self.lines:
            self._live = Live(
                self, console=self.console, refresh_per_second=PER_SECOND, transient=True
            )
            self._live.start()

    def __rich__(self) -> RenderableType:
        return Group(*parts(self._course, self.activities.values(), CLOCK()))

    def close(self) -> None:
        """Take the view away and give the cursor back."""
        live, self._live, self._course = self._live, None, None
        if live is not None:
            live.stop()


def reporter(console: Console) -> Desk:
    """The reporter of work that is no run."""
    return RunView(console).desk()


def parts(
    course: Course | None, activities: Iterable[Activity], now: float
) -> Iterator[RenderableType]:
    """The view, never wider than its terminal; what is too high is cut by :class:`Live`."""
    if course:
        total, done = len(course.todo), course.counts.total()
        cells = Text(f"{done} done, {total - done} left, ")
        cells.append(f"{course.counts['failed']} failed", "red" if course.counts["failed"] else "")
        yield _bar(done, total, cells)
        left = course.left(activities) or "time left not known yet"
        yield _line(f"{duration(course.elapsed)} elapsed, {left}")
        yield ""
    for activity in activities:
        if stage := activity.stage:
            rate = stage.rate(now)
            rest = f", {duration(max(0, stage.total - stage.done) / rate)} left" if rate else ""
            pace = f"{stage.done:,}/{stage.total:,} {stage.unit}, {rate:,.0f}/s{rest}"
            yield _line(f"  {stage.name}  ").append(figures(stage.values), "dim")
            yield _bar(stage.done, stage.total, Text(pace))
        elif course and (cell := course.cells.get(activity.key or "")):
            yield _line(cell.label)
    if course and course.scores:
        yield ""
        yield _scores(course)


def _line(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="crop")


def _bar(done: int, total: int, text: Text) -> Table:
    grid = Table.grid("", "", padding=(0, 1))
    text.no_wrap, text.overflow = True, "crop"
    grid.add_row(ProgressBar(max(1, total), done, 20, finished_style="bar.complete"), text)
    return grid


def _scores(course: Course) -> Table:
    """Mean test scores in percent, of how many seeds where they are several."""
    several = any(len(s) > 1 for tasks in course.scores.values() for s in tasks.values())
    table = Table("method", "retrieval", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in course.titles.values():
        table.add_column(title, justify="right")
    for column in table.columns:
        column.no_wrap = True
    methods = [*dict.fromkeys(cell.method for cell in course.cells.values())]
    for row in sorted(course.scores, key=lambda row: (methods.index(row[0]), row[1])):
        tasks = course.scores[row]
        seeds = [tasks.get(task, ()) for task in course.titles]
        means = [f"{100 * fmean(s):.2f}" + f" ({len(s)})" * several if s else "-" for s in seeds]
        table.add_row(*row, *means)
    return table
