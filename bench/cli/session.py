"""One call of ``bench run``: what it plans, what it says, how it ends."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import plan
from bench.cell import Cell
from bench.executors import here, pool
from bench.executors.groups import Overwrite, left
from bench.executors.quiet import limit_threads, quieten, terminable
from bench.pipeline import precision
from bench.pipeline.watched import WatchedStore
from bench.pipeline.workbench import Workbench
from bench.progress import eta
from bench.progress.course import Course
from bench.progress.desk import Activity
from bench.progress.lines import outcome
from bench.progress.live import RunView
from bench.records import provenance
from bench.records.base import USUAL, percent
from bench.records.run import Record
from bench.records.store import PRECISION, Store, StoreError, make_writable
from bench.settings import Resolved
from bench.task import task_of
from reaugkd import processor, surroundings
from reaugkd.artifacts.cache import default_cache


class Session:
    """Plans at once, so that every mistake in the settings or the data shows before work begins.

    Without ``may_time`` a precision that is left open and was never timed is planned as fp32, for
    a plan that is only shown.

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
        may_time: bool = True,
    ) -> None:
        quieten()
        provenance.source_state()  # of the code that runs, not of what is edited while it runs
        surroundings.require_exact()
        limit_threads(settings.whole.threads)
        self.console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
        self.config, self.preset = settings.whole, preset
        self.command, self.workers, self.store = command, workers, store
        self.cache = cache or default_cache()
        self.view = RunView(self.console)
        self.desk = self.view.desk()
        self.workbench = Workbench(WatchedStore(self.cache, self.desk), self.desk, command)
        try:
            self.precisions = precision.decide(
                settings.tasks,
                self.workbench,
                store.precisions(),
                may_time=may_time,
                most_threads=None if workers == 1 else self.threads,
            )
            self.tasks = self.precisions.tasks
            self.planned = plan.make(self.tasks, self.workbench)
        finally:
            self.view.close()  # `auto` is measured for a plan, and Ctrl-C may come then
        self.cards = {
            task: self.workbench.pipeline(config).rows.card
            for task, config in self.tasks.items()
            if task_of(config).suite != "mini"  # whose rows are made by a grammar
        }
        self.works = eta.works(self.planned, self.workbench)
        self.todo = left(self.planned, store, overwrite)

    @property
    def threads(self) -> int:
        """The most threads of a worker of the pool."""
        return self.config.threads or max(1, processor.cores() // self.workers)

    def show_plan(self) -> None:
        """Print what the rows are, how many cells there are, by kind, and how many are there."""
        for task, card in self.cards.items():
            self.console.print(f"{task}:")
            for line in card.lines():
                self.console.print(f"  {line}")
        for line in self.precisions.lines:
            self.console.print(line)
        planned, todo = self.planned, {cell.key for cell in self.todo}
        rows: dict[tuple[str, str], list[Cell]] = {}
        for cell in planned:
            what = {"training": "", "retrieval": f" + {cell.backend}", "control": ": controls"}
            rows.setdefault((cell.task, cell.method + what[cell.kind]), []).append(cell)
        table = Table("task", "method", title=f"plan of {self.store.folder}", title_justify="left")
        for column in ("cells", "seeds", "left to do"):
            table.add_column(column, justify="right")
        for names, cells in rows.items():
            counts = len(cells), len({c.seed for c in cells}), sum(c.key in todo for c in cells)
            table.add_row(*names, *map(str, counts))
        self.console.print(table)
        searches, wanted = [c for c in planned if c.kind == "retrieval"], self.config.retrieval
        bases = {(replace(cell.base, method="", seed=0), cell.skip_rule) for cell in searches}
        if len(bases) > 1:
            self.console.print(f"knowledge bases, {wanted.design.replace('-', ' ')}:")
            cheaper = [axis for axis, usual in USUAL.items() if getattr(wanted, axis) != (usual,)]
            for axis in ("ann", "keys", "values", "share", "control", *cheaper):
                words = map(percent if axis == "share" else str, getattr(wanted, axis))
                self.console.print(f"  {axis}: {', '.join(words)}")
        if wanted.compares and searches:
            self.console.print(
                f"non-inferior: no more than {wanted.margin:g} points below the first"
            )
        if any(cell.values == "cross-fitted" for cell in searches):
            self.console.print(f"cross-fitted values train {wanted.folds} more teachers per task")
        if cached := sum(self.works[key].cached for key in todo if key in self.works):
            self.console.print(f"students in the cache: {cached}")
        for why, count in Counter(cell.skip for cell in planned if cell.skip).items():
            self.console.print(f"{count} cells will be skipped: {why}")
        kinds = {"training": 0, "retrieval": 0, **Counter(cell.kind for cell in planned)}
        shown = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        rest = f"{len(planned) - len(todo)} there already, {len(todo)} left"
        self.console.print(f"{len(planned)} cells ({shown}), {rest}")

    def _keep_plan(self) -> None:
        self.store.create()
        kept = self.precisions.kept
        self.store.write_run(
            {
                **({PRECISION: kept} if kept else {}),
                "command": self.command,
                "preset": self.preset,
                "config": self.config.model_dump(mode="json"),
                "tasks": {t: c.model_dump(mode="json") for t, c in self.tasks.items()},
                "cells": [cell.summary() for cell in self.planned],
                "cards": {task: asdict(card) for task, card in self.cards.items()},
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
        before = [record for record in records if record.key in finished]
        self.course = Course(self.planned, self.todo, before, self.works, self.workers)
        self.view.begin(self.course)
        try:
            with terminable():
                self._execute()
        finally:
            self.view.close()  # Ctrl-C in a stage: a view gives the cursor back
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
                threads=self.threads,
                view=self.view,
            )

    def _done(self, cell: Cell, record: Record) -> None:
        activities = self.view.activities
        worker = next((w for w, activity in activities.items() if activity.key == cell.key), 0)
        activity = activities.get(worker, Activity())
        self.view.show(worker, Activity())
        self.course.ended(cell, record, activity)
        done, total = self.course.counts.total(), len(self.todo)
        estimate = self.course.left(self.view.activities.values()) if done < total else None
        rest = f", {estimate}" if estimate else ""
        cached = ", from the cache" if "student" in activity.reused else ""
        head = f"[{done}/{total}{rest}] {record.status:7} {cell.label}"
        self.desk.note(f"{head}: {outcome(record)} [{record.seconds:.1f} s{cached}]")

    def _summary(self) -> int:
        reasons: dict[str, str | None] = {}
        statuses = Counter[str]()
        for cell in self.planned:
            record = self.store.read(cell.key)
            status = record.status if isinstance(record, Record) else "missing"
            statuses[status] += 1
            if status in ("missing", "failed"):
                reason = record.reason if isinstance(record, Record) else "no usable record"
                reasons[cell.label] = reason
        shown = ", ".join(f"{count} {status}" for status, count in statuses.items())
        self.console.print(f"{self.store.folder}: {shown}; {self.course.elapsed / 60:.1f} min")
        for label, reason in reasons.items():
            self.console.print(f"  {label}: {reason}")
        self.console.print(f"bench report {self.store.folder}")
        return 1 if reasons else 0
