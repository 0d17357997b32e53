"""The live view of a run in a terminal; notes scroll above it, and at the end it is gone."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich import live
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from bench.progress.desk import Clock, Desk, Stage
from bench.progress.lines import duration, remaining, shown

if TYPE_CHECKING:
    from bench.progress.board import Board, Row
    from bench.progress.course import Course

NARROW = 60
"""Columns below which lines are broken differently and bars are short."""

PER_SECOND = 4
"""How often the view is drawn anew: often enough to look alive, too seldom to slow training."""

HEAVY, ASCII = "━─", "=-"
"""What a bar's done part and the rest of it consist of: told apart without colours too."""

DIM, BAD = "dim", "red"
GAP = 2
"""Blanks between the columns of the board."""


class _Seat(Desk):
    """A desk whose notes and stages are shown by a display."""

    def __init__(self, display: Live) -> None:
        super().__init__()
        self._display = display

    def note(self, text: str) -> None:
        """Write ``text`` above the view."""
        self._display.note(text)

    def start(self, stage: str, total: int, unit: str = "examples") -> None:
        """Show a new stage."""
        super().start(stage, total, unit)
        self._display.open()

    def finish(self) -> None:
        """Take the stage away."""
        super().finish()
        self._display.settle()


class Live:
    """Draws the desks of all processes and, once a run has begun, its course.

    Outside of a run the view is there only while a stage is.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._desks: dict[int, Desk] = {}
        self._course: Course | None = None
        self._view: live.Live | None = None

    @property
    def desks(self) -> Sequence[Desk]:
        """Of all processes that were heard of."""
        return list(self._desks.values())

    def desk(self, worker: int = 0) -> Desk:
        """The desk of a process."""
        return self._desks.setdefault(worker, _Seat(self))

    def note(self, text: str) -> None:
        """Write a line above the view."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def begin(self, course: Course) -> None:
        """Show the course from now on."""
        self._course = course
        self.open()

    def open(self) -> None:
        """Show the view unless it is there."""
        if self._view is None:
            self._view = live.Live(
                get_renderable=lambda: Screen(self._course, self.desks),
                console=self._console,
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
        self._course, self._desks, self._clock = course, desks, clock

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, height = options.max_width, max(1, options.size.height - 1)
        for line in self.lines(width, height, ASCII if options.ascii_only else HEAVY):
            line.truncate(width, overflow="crop")
            yield line

    def lines(self, width: int, height: int, marks: str = HEAVY) -> list[Text]:
        """At most ``height`` lines for ``width`` columns; bars consist of ``marks``."""
        head = list(_head(self._course, self._desks, width, marks)) if self._course else []
        busy = [desk for desk in self._desks if desk.stage is not None or desk.key is not None]
        blank = [Text()] if head and busy else []
        full = [line for desk in busy for line in self._at(desk, width, marks)]
        if len(head) + len(blank) + len(full) > height:
            full = [self._in_short(desk) for desk in busy]
        above = [*head, *blank, *full]
        room = height - len(above) - 1
        board = list(_board(self._course.board, width, room)) if self._course else []
        return [*above, *([Text()] if board else []), *board][:height]

    def _label(self, desk: Desk) -> str:
        cells = self._course.cells if self._course else {}
        return cells[desk.key].label if desk.key in cells else ""

    def _at(self, desk: Desk, width: int, marks: str) -> Iterator[Text]:
        """What one process does, in up to three lines."""
        if label := self._label(desk):
            reused = f" (from the cache: {', '.join(desk.reused)})" if desk.reused else ""
            yield Text.assemble((label, "bold"), (reused, DIM))
        stage = desk.stage
        if stage is None:
            return
        values, narrow = shown(stage.values), width < NARROW
        yield Text.assemble(f"  {stage.name}", "" if narrow else (f"  {values}", DIM))
        length, figures = (10 if narrow else 24), self._figures(stage, narrow)
        yield Text("  ").append_text(_bar(stage.done, stage.total, length, marks)).append(figures)
        if narrow and values:
            yield Text(f"  {values}", DIM)

    def _figures(self, stage: Stage, narrow: bool) -> str:
        now = self._clock()
        unit, left = ("" if narrow else f" {stage.unit}"), stage.left(now)
        rest = f", {duration(left)} left" if left is not None else ""
        return f" {stage.done:,}/{stage.total:,}, {stage.rate(now):,.0f}{unit}/s{rest}"

    def _in_short(self, desk: Desk) -> Text:
        """What one process does, in one line: for many of them."""
        stage = desk.stage
        if stage is None:
            return Text(self._label(desk))
        share = f"{100 * stage.done / max(1, stage.total):3.0f} %"
        return Text(f"{share} {stage.name},{self._figures(stage, narrow=True)}")


def _bar(done: int, total: int, length: int, marks: str) -> Text:
    full = min(length, int(length * done / max(1, total)))
    return Text.assemble((marks[0] * full, "green"), (marks[1] * (length - full), DIM))


def _head(course: Course, desks: Sequence[Desk], width: int, marks: str) -> Iterator[Text]:
    counts, narrow = course.counts, width < NARROW
    parts = [f"{course.done} done", f"{course.total - course.done} left"]
    failed = f"{counts['failed']} failed"
    skipped = f", {counts['skipped']} skipped" if counts["skipped"] else ""
    cells = Text.assemble(
        f"{', '.join(parts)}, ", (failed, BAD if counts["failed"] else ""), skipped
    )
    bar = _bar(course.done, course.total, 10 if narrow else 24, marks)
    yield bar.append(" ").append_text(cells)
    left = remaining(course.left(desks)) or "time left not known yet"
    yield Text(f"{duration(course.elapsed)} elapsed, {left}")
    if course.cached:
        yield Text(f"students in the cache: {course.cached}", DIM)


def _board(board: Board, width: int, height: int) -> Iterator[Text]:
    """As many rows and columns of the scores as there is room for, the newest if not all."""
    if not board.rows or height < 2:
        return
    rows, titles = _newest(board.rows, height - 1), board.titles
    names = max(len("method"), *(len(row.method) for row in rows))
    several = any(len(found) > 1 for row in rows for found in row.scores.values())
    texts = {title: [_score(row, title, several) for row in rows] for title in titles}
    wide = {title: max(len(title), *map(len, found)) for title, found in texts.items()}
    room, chosen = width - names - GAP - len("retrieval"), list[str]()
    for title in reversed(titles):
        room -= GAP + wide[title]
        if room < 0:
            break
        chosen.insert(0, title)
    blanks = " " * GAP
    head = [f"{'method':{names}}", "retrieval", *(f"{title:>{wide[title]}}" for title in chosen)]
    yield Text(blanks.join(head), DIM)
    for number, row in enumerate(rows):
        scores = (f"{texts[title][number]:>{wide[title]}}" for title in chosen)
        yield Text(blanks.join([f"{row.method:{names}}", f"{row.retrieval:9}", *scores]))


def _newest(rows: Sequence[Row], count: int) -> list[Row]:
    """The ``count`` rows that changed last, in their order."""
    if len(rows) <= count:
        return list(rows)
    oldest = sorted(row.changed for row in rows)[-count]
    return [row for row in rows if row.changed >= oldest]


def _score(row: Row, title: str, several: bool) -> str:
    """Mean over seeds in percent, with their number where ``several`` have finished somewhere."""
    mean = row.mean(title)
    if mean is None:
        return "-"
    return f"{100 * mean:.2f}" + (f" ({len(row.scores[title])})" if several else "")
