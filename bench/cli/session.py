"""One call of ``bench run``: what it plans, what it says, how it ends."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rich.console import Console

from bench import plan
from bench.cell import Cell
from bench.cli import planned
from bench.executors import here, pool
from bench.executors.groups import Overwrite, left
from bench.executors.quiet import quieten, terminable
from bench.pipeline.watched import WatchedStore
from bench.pipeline.workbench import Workbench
from bench.progress import eta, live
from bench.progress.course import Course
from bench.progress.lines import outcome, remaining
from bench.records import provenance
from bench.records.run import Record
from bench.records.store import Store, StoreError, make_writable
from bench.settings import Resolved
from reaugkd.artifacts.cache import default_cache
from reaugkd.models import threads


class Session:
    """Plans at once, so that every mistake in the settings or the data shows before work begins.

    Args:
        settings: of the run.
        preset: name of the preset that they come from.
        store: where the run is written.
        cache: where expensive steps are kept; None is the default cache.
        command: the command line, for provenance.
        workers: how many processes.
        overwrite: what to do about cells that have a record.

    Raises:
        UserError: the first mistake.
    """

    def __init__(
        self,
        settings: Resolved,
        preset: str,
        *,
        store: Store,
        cache: Path | None,
        command: str,
        workers: int,
        overwrite: Overwrite,
    ) -> None:
        quieten()
        provenance.source_state()  # of the code that runs, not of what is edited while it runs
        if settings.whole.threads is not None:
            import torch

            torch.set_num_threads(settings.whole.threads)
        self.console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
        self.settings, self.config, self.preset = settings, settings.whole, preset
        self.command, self.workers, self.store = command, workers, store
        self.cache = (cache or default_cache()).expanduser()
        self.display = live.display(self.console)
        self.desk = self.display.desk()
        self.workbench = Workbench(WatchedStore(self.cache, self.desk), self.desk, command)
        try:
            self.planned = plan.make(settings.tasks, self.workbench)
        finally:
            self.display.close()  # `auto` is measured for a plan, and Ctrl-C may come then
        self.works = eta.works(self.planned, self.workbench)
        self.todo = left(self.planned, store, overwrite)

    def show_plan(self) -> None:
        """Print how many cells there are, by kind, and how many are there already."""
        todo = {cell.key for cell in self.todo}
        self.console.print(planned.table(f"plan of {self.store.folder}", self.planned, todo))
        cached = sum(self.works[key].cached for key in todo if key in self.works)
        for line in planned.remarks(self.planned, self.config.retrieval, cached):
            self.console.print(line)
        self.console.print(planned.summary(self.planned, len(todo)))

    def _keep_plan(self) -> None:
        self.store.create()
        self.store.write_run(
            {
                "command": self.command,
                "preset": self.preset,
                "config": self.config.model_dump(mode="json"),
                "tasks": {t: c.model_dump(mode="json") for t, c in self.settings.tasks.items()},
                "cells": [cell.summary() for cell in self.planned],
            }
        )

    def write_cells(self, folder: Path) -> None:
        """Write each cell that is left as a file for ``python -m bench.cell``, and the plan.

        Raises:
            StoreError: naming the folder.
        """
        self._keep_plan()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for cell in self.todo:
                path = folder / f"{cell.key}.json"
                path.write_text(cell.model_dump_json(), encoding="utf-8")
        except OSError as error:
            raise StoreError(f"cannot write cells to {folder}: {error.strerror}") from error

    def run(self) -> int:
        """Run what is left; 0 if every planned cell ended well or is skipped, else 1."""
        try:
            make_writable(self.cache)
        except OSError as error:
            raise StoreError(f"cannot write to the cache {self.cache}: {error.strerror}") from error
        self._keep_plan()
        records, problems = self.store.records()
        for problem in problems:
            self.desk.note(f"{problem.path} is passed over: {problem.reason}")
        self.show_plan()
        finished = {cell.key for cell in self.planned} - {cell.key for cell in self.todo}
        self.course = Course(
            self.planned,
            self.todo,
            [record for record in records if record.key in finished],
            self.works,
            eta.teachers(self.todo, self.workbench),
            self.workers,
        )
        self.display.begin(self.course)
        try:
            with terminable():
                self._execute()
        finally:
            self.display.close()  # Ctrl-C in a stage: a view gives the cursor back
        return self._summary()

    def _execute(self) -> None:
        if self.workers == 1:
            here.run_here(self.todo, self.workbench, self.store, self._done, self.desk.begun)
        else:
            pool.run_in_pool(
                self.todo,
                self.cache,
                self.store,
                self.command,
                self._done,
                workers=self.workers,
                threads=self.config.threads or max(1, threads.cores() // self.workers),
                listener=self.display.desk,
            )

    def _done(self, cell: Cell, record: Record) -> None:
        desk = next((desk for desk in self.display.desks if desk.key == cell.key), None)
        self.course.ended(cell, record, desk)
        cached = ", from the cache" if desk and "student" in desk.reused else ""
        if desk:
            desk.begun(None)
        course, rest = self.course, ""
        if course.done < course.total and (estimate := course.left(self.display.desks)):
            rest = f", {remaining(estimate)}"
        head = f"[{course.done}/{course.total}{rest}] {record.status:7} {cell.label}"
        self.desk.note(f"{head}: {outcome(record)} [{record.seconds:.1f} s{cached}]")

    def _summary(self) -> int:
        reasons: dict[str, str | None] = {}
        statuses = Counter[str]()
        for cell in self.planned:
            record = self.store.read(cell.key)
            if not isinstance(record, Record):
                statuses["missing"] += 1
                reasons[cell.key] = "no usable record"
                continue
            statuses[record.status] += 1
            if record.status == "failed":
                reasons[cell.key] = record.reason
        shown = ", ".join(f"{count} {status}" for status, count in statuses.items())
        self.console.print(f"{self.store.folder}: {shown}; {self.course.elapsed / 60:.1f} min")
        for cell in self.planned:
            if cell.key in reasons:
                self.console.print(f"  {cell.label}: {reasons[cell.key]}")
        self.console.print(f"bench report {self.store.folder}")
        return 1 if reasons else 0
