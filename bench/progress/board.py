"""Scores of finished cells while a run goes on: method x task, without and with retrieval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from bench.cell import Cell
from bench.records.run import Record

OFF, ON = "off", "on"


@dataclass(frozen=True)
class Row:
    """A row of the board.

    Attributes:
        method: its name.
        retrieval: ``off``, or ``on``: with the first knowledge base of the plan.
        scores: title of a task -> its test score by the task's selection metric, of every seed.
        changed: which record, counted from 1, changed it last.
    """

    method: str
    retrieval: str
    scores: Mapping[str, tuple[float, ...]]
    changed: int

    def mean(self, title: str) -> float | None:
        """Mean over seeds; None where nothing is finished."""
        return fmean(self.scores[title]) if title in self.scores else None


class Board:
    """Growing scores.

    Another thread draws it: ``rows`` and ``titles`` are replaced whole, never changed in place.

    Args:
        cells: all that are planned.

    Attributes:
        rows: in the order of the plan; those of cells that have ended well.
        titles: of the tasks, in the order of the plan.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._methods = list(dict.fromkeys(cell.method for cell in cells))
        self._tasks = list(dict.fromkeys(cell.task for cell in cells))
        first: dict[tuple[str, str, int], str] = {}
        for cell in cells:
            if cell.kind == "retrieval":
                first.setdefault((cell.task, cell.method, cell.seed), cell.key)
        self._first = set(first.values())
        self._values: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
        self._changed: dict[tuple[str, str], int] = {}
        self._titles: dict[str, str] = {}
        self._records = 0
        self.rows: tuple[Row, ...] = ()
        self.titles: tuple[str, ...] = ()

    def add(self, *records: Record) -> None:
        """Put in what finished cells scored; what failed or was skipped has no score."""
        for record in records:
            if record.status == "ok":
                self._add(record)
        self.titles = tuple(self._titles[task] for task in self._tasks if task in self._titles)
        self.rows = tuple(
            self._row((method, retrieval))
            for method in self._methods
            for retrieval in (OFF, ON)
            if (method, retrieval) in self._values
        )

    def _add(self, record: Record) -> None:
        split, metric = record.tests[0], record.select_on
        if record.training is not None:
            at, score = (record.method, OFF), record.training.scores[split][metric]
        elif record.retrieval is not None and record.key in self._first:
            at, score = (record.method, ON), record.retrieval.chosen.scores[split][metric]
        else:
            return
        self._records += 1
        self._titles[record.task] = record.title
        self._values.setdefault(at, {}).setdefault(record.title, {})[record.key] = score
        self._changed[at] = self._records

    def _row(self, at: tuple[str, str]) -> Row:
        scores = {title: tuple(found.values()) for title, found in self._values[at].items()}
        return Row(*at, scores, self._changed[at])
