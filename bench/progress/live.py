"""The live view of a run in a terminal; notes scroll above it, and at the end it is gone."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from statistics import fmean

from rich import live
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bench.progress.course import OFF, ON, Course
from bench.progress.events import Clock, Desk, RunningStage
from bench.progress.lines import Lines, PlainDisplay, duration, figures, remaining
from reaugkd.reporter import Reporter

NARROW = 60
"""Columns below which bars are short and units are left out."""

PER_SECOND = 4
"""How often the view is drawn anew: often enough to look alive, too seldom to slow training."""


def display(console: Console) -> PlainDisplay:
    """The display that suits ``console``; a terminal that cannot move its cursor gets lines."""
    return LiveDisplay(console) if console.is_interactive else PlainDisplay(console)


def reporter(console: Console) -> Reporter:
    """The reporter that suits ``console``, for work that is no run."""
    return display(console).desk()


class _Seat(Lines):
    """A desk whose stages are shown by a display."""

    def __init__(self, display: LiveDisplay) -> None:
        super().__init__(display.console)
        self._display = display

    def start(self, stage: str, total: int, unit: str = "examples") -> None:
        """Show a new stage."""
        super().start(stage, total, unit)
        self._display.open()

    def finish(self) -> None:
        """Take the stage away."""
        self.stage = None
        self._display.settle()


class LiveDisplay(PlainDisplay):
    """Draws the desks of all processes and, once a run has begun, its course.

    Outside of a run the view is there only while a stage is.
    """

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._course: Course | None = None
        self._view: live.Live | None = None

    def _new(self) -> Desk:
        return _Seat(self)

    def begin(self, course: Course) -> None:
        """Show the course from now on."""
        self._course = course
        self.open()

    def open(self) -> None:
        """Show the view unless it is there."""
        if self._view is None:
            self._view = live.Live(
                get_renderable=lambda: Screen(self._course, self.desks),
                console=self.console,
                refresh_per_second=PER_SECOND,
                transient=True,
            )
            self._view.start()

    def settle(self) -> None:
        """Take the view away if there is nothing to show any more."""
        if self._course is None and all(desk.stage is None for desk in self.desks):
            self.close()

    def close(self) -> None:
        """Take the view away and give the cursor back."""
        view, self._view, self._course = self._view, None, None
        if view is not None:
            view.stop()


class Screen:
    """What is drawn: never wider than the terminal, and lower than it by at least a line.

    Args:
        course: of the run, if there is one.
        desks: of its processes.
        clock: tells the time.
    """

    def __init__(
        self, course: Course | None, desks: Sequence[Desk], clock: Clock = time.perf_counter
    ) -> None:
        self._course, self._desks, self._now = course, desks, clock()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, room = options.max_width, max(1, options.size.height - 1)
        for part in self._parts(width, room):
            for line in console.render_lines(part, options.update(height=None), pad=False)[:room]:
                room -= 1
                yield from line
                yield Text("\n", end="")

    def _parts(self, width: int, height: int) -> Iterator[RenderableType]:
        course, narrow = self._course, width < NARROW
        busy = [desk for desk in self._desks if desk.stage is not None or desk.key is not None]
        used = 0
        if course:
            yield from _head(course, self._desks, narrow)
            used += 3
        short = used + 2 * len(busy) > height
        for desk in busy:
            yield from self._stage(desk, narrow, short)
            used += 1 if short else 2
        if course and course.scores and used + 3 <= height:
            yield ""
            yield _scores(course, width, height - used - 2)

    def _stage(self, desk: Desk, narrow: bool, short: bool) -> Iterator[RenderableType]:
        """What one process does, in two lines, or in one where there are many of them."""
        stage = desk.stage
        if stage is None:
            cell = self._course.cells.get(desk.key or "") if self._course else None
            yield _line(cell.label if cell else "")
        elif short:
            share = f"{100 * stage.done / max(1, stage.total):3.0f} %"
            yield _line(f"{share} {stage.name}, {self._pace(stage, narrow=True)}")
        else:
            yield _line(f"  {stage.name}  ").append(figures(stage.values), "dim")
            yield _bar(stage.done, stage.total, self._pace(stage, narrow), narrow)

    def _pace(self, stage: RunningStage, narrow: bool) -> str:
        unit, rate = ("" if narrow else f" {stage.unit}"), stage.rate(self._now)
        left = max(0, stage.total - stage.done) / rate if rate else None
        rest = f", {duration(left)} left" if left is not None else ""
        return f"{stage.done:,}/{stage.total:,}, {rate:,.0f}{unit}/s{rest}"


def _line(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="crop")


def _bar(done: int, total: int, text: str | Text, narrow: bool) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=10 if narrow else 24)
    grid.add_column(no_wrap=True, overflow="crop")
    bar = ProgressBar(max(1, total), done, complete_style="green", finished_style="green")
    grid.add_row(bar, text)
    return grid


def _head(course: Course, desks: Sequence[Desk], narrow: bool) -> Iterator[RenderableType]:
    counts, left = course.counts, course.left(desks)
    cells = Text(f"{course.done} done, {course.total - course.done} left, ")
    cells.append(f"{counts['failed']} failed", "red" if counts["failed"] else "")
    cells.append(f", {counts['skipped']} skipped" if counts["skipped"] else "")
    yield _bar(course.done, course.total, cells, narrow)
    rest = remaining(left) or "time left not known yet"
    yield _line(f"{duration(course.elapsed)} elapsed, {rest}")
    yield ""


def _scores(course: Course, width: int, height: int) -> Table:
    """Mean test scores in percent: as many rows and tasks as fit, the newest if not all."""
    cells = course.cells.values()
    newest = list(course.scores)[-height:]
    methods = dict.fromkeys(cell.method for cell in cells)
    rows = [row for method in methods for row in ((method, OFF), (method, ON)) if row in newest]
    tasks = [task for task in dict.fromkeys(c.task for c in cells) if task in course.titles]
    names = max(len("method"), *(len(method) for method, _ in rows))
    wide = max(len("00.00 (0)"), *(len(course.titles[task]) for task in tasks))
    fitting = max(0, width - names - len("  retrieval")) // (wide + 2)
    tasks = tasks[len(tasks) - min(len(tasks), fitting) :]
    several = any(len(seeds) > 1 for row in rows for seeds in course.scores[row].values())

    def shown(seeds: tuple[float, ...]) -> str:
        if not seeds:
            return "-"
        return f"{100 * fmean(seeds):.2f}" + (f" ({len(seeds)})" if several else "")

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("method", no_wrap=True)
    table.add_column("retrieval", no_wrap=True)
    for task in tasks:
        table.add_column(course.titles[task], justify="right", no_wrap=True)
    for row in rows:
        scores = course.scores[row]
        table.add_row(*row, *(shown(scores.get(task, ())) for task in tasks))
    return table
