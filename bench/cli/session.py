"""One call of ``bench run``: where it writes, what it says, how it ends."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import plan
from bench.cell import Cell, Workbench
from bench.config import RunConfig
from bench.executors import pool as executors
from bench.executors.pool import Overwrite
from bench.executors.quiet import quieten
from bench.pipeline.knowledge_base import percent
from bench.pipeline.watched import WatchedStore
from bench.plan import Planned
from bench.progress import lines as progress
from bench.progress import work as works
from bench.progress.course import Course
from bench.progress.outcome import outcome
from bench.records import provenance
from bench.records.run import Record
from bench.records.store import Store, StoreError, make_writable
from bench.report.files import RUNS
from bench.settings import Resolved
from reaugkd.artifacts import fingerprint
from reaugkd.artifacts.cache import default_cache

KINDS = ("training", "retrieval", "control")
USUAL = ("training", "retrieval")
"""Kinds that the plan counts even where there is none of them."""


def run_name(config: RunConfig, preset: str) -> str:
    """The default name of a run: the same settings give the same name, hence resume."""
    name = f"{preset}-{config.ablation}" if config.ablation else preset
    return f"{name}-{fingerprint.of_json(config.model_dump(mode='json'))[:8]}"


class Session:
    """Plans at once, so that every mistake in the settings or the data shows before work begins.

    Raises:
        UserError: the first mistake.
    """

    def __init__(
        self,
        settings: Resolved,
        preset: str,
        *,
        out: Path | None,
        cache: Path | None,
        command: str,
        workers: int,
    ) -> None:
        quieten()
        provenance.source_state()  # of the code that runs, not of what is edited while it runs
        config = settings.whole
        if config.threads is not None:
            import torch

            torch.set_num_threads(config.threads)
        self.console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
        self.settings, self.config, self.preset = settings, config, preset
        self.command, self.workers = command, workers
        self.cache = (cache or default_cache()).expanduser()
        self.store = Store(out or RUNS / run_name(config, preset))
        self._refuse_merged()
        self.display = progress.display(self.console)
        self.desk = self.display.desk()
        self.workbench = Workbench(WatchedStore(self.cache, self.desk), self.desk, command)
        try:
            self.planned = plan.make(settings.tasks, self.workbench)
        finally:
            self.display.close()  # `auto` is measured for a plan, and Ctrl-C may come then
        self.works = works.works(self.planned, self.workbench)

    def show_plan(self, overwrite: Overwrite) -> None:
        """Print how many cells there are, by kind, and how many are there already."""
        todo = {p.cell.key for p in executors.left(self.planned, self.store, overwrite)}
        table = Table(title=f"plan of {self.store.folder}", title_justify="left")
        for column in ("task", "method", "cells", "seeds", "left to do"):
            table.add_column(column, justify="left" if column in ("task", "method") else "right")
        rows: dict[tuple[str, str, str], list[Cell]] = {}
        for planned in self.planned:
            cell = planned.cell
            what = {"training": "", "retrieval": f" + {cell.backend}", "control": ": controls"}
            rows.setdefault((cell.task, cell.method, what[cell.kind]), []).append(cell)
        for (task, method, more), cells in rows.items():
            waiting = sum(cell.key in todo for cell in cells)
            seeds = len({cell.seed for cell in cells})
            table.add_row(task, method + more, str(len(cells)), str(seeds), str(waiting))
        self.console.print(table)
        for line in self._remarks(todo):
            self.console.print(line)
        kinds = Counter[str](p.cell.kind for p in self.planned)
        shown = ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS if kinds[kind] or kind in USUAL)
        self.console.print(
            f"{len(self.planned)} cells ({shown}), {len(self.planned) - len(todo)} there already, "
            f"{len(todo)} left"
        )

    def _remarks(self, todo: set[str]) -> list[str]:
        """What the table does not tell: axes of retrieval, more teachers, the cache, skips."""
        wanted = self.config.retrieval
        lines = []
        found = [p.cell for p in self.planned if p.cell.kind == "retrieval"]
        if len({(cell.keys, cell.values, cell.share, cell.control) for cell in found}) > 1:
            axes = {
                "ann": wanted.ann,
                "keys": wanted.keys,
                "values": wanted.values,
                "share": tuple(map(percent, wanted.share)),
                "control": wanted.control,
            }
            lines.append(f"knowledge bases, {wanted.design.replace('-', ' ')}:")
            lines += [f"  {name}: {', '.join(values)}" for name, values in axes.items()]
        if any(cell.values == "cross-fitted" for cell in found):
            lines.append(f"cross-fitted values train {wanted.folds} more teachers per task")
        if cached := sum(self.works[key].cached for key in todo if key in self.works):
            lines.append(f"students in the cache: {cached}")
        skipped = Counter(p.skip for p in self.planned if p.skip)
        return lines + [f"{count} cells will be skipped: {why}" for why, count in skipped.items()]

    def _refuse_merged(self) -> None:
        """A plan of this run would take the place of one that names the cells of others."""
        try:
            run = self.store.read_run()
        except StoreError:
            return  # there is none, or a damaged one, which the new plan mends
        if "merged" in run:
            raise StoreError(f"--out {self.store.folder}: is a merged run: name another folder")

    def _keep_plan(self) -> None:
        self.store.create()
        self.store.write_run(
            {
                "command": self.command,
                "preset": self.preset,
                "config": self.config.model_dump(mode="json"),
                "tasks": {t: c.model_dump(mode="json") for t, c in self.settings.tasks.items()},
                "cells": [planned.cell.summary() for planned in self.planned],
            }
        )

    def write_cells(self, folder: Path, overwrite: Overwrite) -> None:
        """Write each cell that is left as a file for ``python -m bench.cell``, and the plan.

        Raises:
            StoreError: naming the folder.
        """
        self._keep_plan()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for planned in executors.left(self.planned, self.store, overwrite):
                path = folder / f"{planned.cell.key}.json"
                path.write_text(planned.cell.model_dump_json(), encoding="utf-8")
        except OSError as error:
            raise StoreError(f"cannot write cells to {folder}: {error.strerror}") from error

    def run(self, overwrite: Overwrite) -> int:
        """Run what is left; 0 if every planned cell ended well or is skipped, else 1."""
        try:
            make_writable(self.cache)
        except OSError as error:
            raise StoreError(f"cannot write to the cache {self.cache}: {error.strerror}") from error
        self._keep_plan()
        records, problems = self.store.records()
        for problem in problems:
            self.desk.note(f"{problem.path} is passed over: {problem.reason}")
        todo = executors.left(self.planned, self.store, overwrite)
        self.show_plan(overwrite)
        self.course = self._course(todo, records)
        self.display.begin(self.course)
        try:
            self._execute(todo)
        finally:
            self.display.close()  # Ctrl-C in a stage: a view gives the cursor back
        return self._summary()

    def _execute(self, todo: list[Planned]) -> None:
        if self.workers == 1:
            begun = self.desk.begun
            executors.in_process(todo, self.workbench, self.store, self._done, begun)
        else:
            threads = self.config.threads or max(1, (os.cpu_count() or 1) // self.workers)
            executors.in_pool(
                todo,
                self.cache,
                self.store,
                self.command,
                self._done,
                workers=self.workers,
                threads=threads,
                listener=self.display.desk,
            )

    def _course(self, todo: list[Planned], records: list[Record]) -> Course:
        there = {p.cell.key for p in self.planned} - {p.cell.key for p in todo}
        before = [record for record in records if record.key in there]
        teachers = works.teachers(todo, self.works, self.workbench)
        return Course(self.planned, todo, before, self.works, teachers, self.workers)

    def _done(self, cell: Cell, record: Record) -> None:
        desk = next((one for one in self.display.desks if one.key == cell.key), None)
        self.course.ended(cell, record, desk)
        cached = ", from the cache" if desk and "student" in desk.reused else ""
        if desk:
            desk.leave()
        course, left = self.course, ""
        if course.done < course.total and (found := course.left(self.display.desks)):
            left = f", {progress.remaining(found)}"
        head = f"[{course.done}/{course.total}{left}] {record.status:7} {cell.label}"
        self.desk.note(f"{head}: {outcome(record)} [{record.seconds:.1f} s{cached}]")

    def _summary(self) -> int:
        found = {p.cell.key: self.store.read(p.cell.key) for p in self.planned}
        status = {key: r.status if isinstance(r, Record) else "missing" for key, r in found.items()}
        counts = Counter(status.values())
        shown = ", ".join(f"{counts[name]} {name}" for name in counts)
        minutes = self.course.elapsed / 60
        self.console.print(f"{self.store.folder}: {shown}; {minutes:.1f} min")
        bad = [p.cell for p in self.planned if status[p.cell.key] in ("failed", "missing")]
        for cell in bad:
            record = found[cell.key]
            reason = record.reason if isinstance(record, Record) else "no usable record"
            self.console.print(f"  {cell.label}: {reason}")
        self.console.print(f"bench report {self.store.folder}")
        return 1 if bad else 0
