"""PlainDisplay lines of progress, for logs and pipes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console

from bench.progress.course import Course
from bench.progress.eta import Left
from bench.progress.events import Desk
from bench.records.run import Record


class Lines(Desk):
    """One line when a stage ends."""

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
            did = f"{stage.done} {stage.unit} {rate} {figures(stage.values)}".rstrip()
            self.note(f"  {stage.name}: {did}")


class PlainDisplay:
    """Shows what the processes of a run do in plain lines, each whole."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._desks: dict[int, Desk] = {}

    @property
    def desks(self) -> Sequence[Desk]:
        """Of all processes that were heard of."""
        return list(self._desks.values())

    def desk(self, worker: int = 0) -> Desk:
        """The desk of a process: 0 is this one, others go by their ids."""
        if worker not in self._desks:
            self._desks[worker] = self._new()
        return self._desks[worker]

    def _new(self) -> Desk:
        return Lines(self.console)

    def begin(self, course: Course) -> None:
        """The cells begin; their own lines tell the course."""

    def close(self) -> None:
        """The end, whatever came: say how far the stages under way have come."""
        for desk in self.desks:
            desk.finish()


def figures(values: Mapping[str, float]) -> str:
    """Figures on one line.

    >>> figures({"soft": 0.25, "hard": 1.5})
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

    >>> remaining(Left(100.0, True)), remaining(Left(4000.0, False)), remaining(None)
    ('about 1:40 left', 'over 1:06:40 left', '')
    """
    if left is None:
        return ""
    return f"{'about' if left.whole else 'over'} {duration(left.seconds)} left"


def outcome(record: Record) -> str:
    """What a cell scored on the test split, or why it did not."""
    split, metric = record.tests[0], record.select_on
    if record.training is not None:
        return f"{split} {metric} {record.training.scores[split][metric]:.4f}"
    if record.retrieval is not None:
        off, on = record.retrieval.off, record.retrieval.chosen
        return (
            f"{split} {metric} {off[split][metric]:.4f} -> {on.scores[split][metric]:.4f} "
            f"(k {on.k}, beta {on.beta}, tau {on.tau})"
        )
    if record.controls is not None:
        head, scaled = record.controls.second_head, record.controls.temperature
        what = (
            f"second head {split} {metric} {record.controls.off.scores[split][metric]:.4f} -> "
            f"{head.mixed.scores[split][metric]:.4f} (beta {head.beta})"
        )
        return what + (f", temperature {scaled.temperature:.2f}" if scaled else "")
    return record.reason or ""
