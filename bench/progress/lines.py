"""Progress of long work: drawn live in a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from rich.console import Console

from bench.progress.desk import Desk
from reaugkd.reporter import Reporter

if TYPE_CHECKING:
    from bench.progress.course import Course
    from bench.progress.eta import Left


class Display(Protocol):
    """Shows what the processes of a run do."""

    @property
    def desks(self) -> Sequence[Desk]:
        """Of all processes that were heard of."""

    def desk(self, worker: int = 0) -> Desk:
        """The desk of a process: 0 is this one, others go by their ids."""

    def begin(self, course: Course) -> None:
        """The cells begin; from now on they are shown too."""

    def close(self) -> None:
        """The end, whatever came: nothing is left on a terminal that should not stay."""


def display(console: Console) -> Display:
    """The display that suits ``console``; a terminal that cannot move its cursor gets lines."""
    if not console.is_interactive:
        return Plain(console)
    from bench.progress.live import Live

    return Live(console)


def reporter(console: Console) -> Reporter:
    """The reporter that suits ``console``, for work that is no run."""
    return display(console).desk()


def shown(values: Mapping[str, float]) -> str:
    """Figures on one line.

    >>> shown({"soft": 0.25, "hard": 1.5})
    'soft 0.2500 hard 1.5000'
    """
    return " ".join(f"{name} {value:.4f}" for name, value in values.items())


def duration(seconds: float) -> str:
    """A duration as a clock shows it.

    >>> duration(9.6), duration(75), duration(3700)
    ('0:10', '1:15', '1:01:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def remaining(left: Left | None) -> str:
    """An estimate in words, empty where there is none.

    >>> from bench.progress.eta import Left
    >>> remaining(Left(100.0, True)), remaining(Left(4000.0, False)), remaining(None)
    ('about 1:40 left', 'over 1:06:40 left', '')
    """
    if left is None:
        return ""
    return f"{'about' if left.whole else 'over'} {duration(left.seconds)} left"


class Lines(Desk):
    """One line when a stage ends: for logs and pipes."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def note(self, text: str) -> None:
        """Write ``text``."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def finish(self) -> None:
        """Write what the stage did and how fast; short stages need no line when they begin."""
        stage, self.stage = self.stage, None
        if stage is not None:
            now = self.clock()
            rate = f"in {now - stage.began:.1f} s ({stage.rate(now):.0f}/s)"
            did = f"{stage.done} {stage.unit} {rate} {shown(stage.values)}".rstrip()
            self.note(f"  {stage.name}: {did}")


class Plain:
    """Plain lines of every process, each whole."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._desks: dict[int, Desk] = {}

    @property
    def desks(self) -> Sequence[Desk]:
        """Of all processes that were heard of."""
        return list(self._desks.values())

    def desk(self, worker: int = 0) -> Desk:
        """The desk of a process."""
        return self._desks.setdefault(worker, Lines(self._console))

    def begin(self, course: Course) -> None:
        """The lines of its cells tell the course."""

    def close(self) -> None:
        """Say how far the stages under way have come."""
        for desk in self.desks:
            desk.finish()
