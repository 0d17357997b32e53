"""One call of ``bench run``: where it writes, what it says, how it ends."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import executors, plan, provenance
from bench.base import percent
from bench.cell import Cell, Workbench
from bench.cli import progress
from bench.config import RunConfig
from bench.executors import Overwrite
from bench.plan import Planned
from bench.quiet import quieten
from bench.record import Record
from bench.report.files import RUNS
from bench.settings import Resolved
from bench.store import Store, StoreError, make_writable
from reaugkd import fingerprint
from reaugkd.artifacts import ArtifactStore
from reaugkd.cache import default_cache

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
        self.console = Console(soft_wrap=True)
        self.settings, self.config, self.preset = settings, config, preset
        self.command, self.workers = command, workers
        self.cache = (cache or default_cache()).expanduser()
        self.store = Store(out or RUNS / run_name(config, preset))
        self.reporter = progress.reporter(self.console)
        artifacts = ArtifactStore(self.cache, self.reporter)
        self.workbench = Workbench(artifacts, self.reporter, command)
        self.planned = plan.make(settings.tasks, self.workbench)

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
        for line in self._remarks():
            self.console.print(line, highlight=False, markup=False)
        kinds = Counter[str](p.cell.kind for p in self.planned)
        shown = ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS if kinds[kind] or kind in USUAL)
        self.console.print(
            f"{len(self.planned)} cells ({shown}), {len(self.planned) - len(todo)} there already, "
            f"{len(todo)} left",
            highlight=False,
        )

    def _remarks(self) -> list[str]:
        """What the table does not tell: the axes of retrieval, more teachers, cells to skip."""
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
        skipped = Counter(p.skip for p in self.planned if p.skip)
        return lines + [f"{count} cells will be skipped: {why}" for why, count in skipped.items()]

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
        for problem in self.store.records()[1]:
            self.reporter.note(f"{problem.path} is passed over: {problem.reason}")
        todo = executors.left(self.planned, self.store, overwrite)
        self.show_plan(overwrite)
        self._total, self._finished, self._began = len(todo), 0, time.perf_counter()
        try:
            self._execute(todo)
        finally:
            self.reporter.finish()  # Ctrl-C in a stage: a bar gives the cursor back
        return self._summary()

    def _execute(self, todo: list[Planned]) -> None:
        if self.workers == 1:
            executors.in_process(todo, self.workbench, self.store, self._done)
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
                reporter=progress.of_worker,
            )

    def _done(self, cell: Cell, record: Record) -> None:
        self._finished += 1
        split = record.tests[0]
        what = record.reason or ""
        if record.training is not None:
            what = (
                f"{split} {record.select_on} {record.training.scores[split][record.select_on]:.4f}"
            )
        elif record.retrieval is not None:
            off, on = record.retrieval.off, record.retrieval.chosen
            what = (
                f"{split} {record.select_on} {off[split][record.select_on]:.4f} -> "
                f"{on.scores[split][record.select_on]:.4f} (k {on.k}, beta {on.beta}, tau {on.tau})"
            )
        elif record.controls is not None:
            mixed, scaled = record.controls.second_head, record.controls.temperature
            what = (
                f"second head {split} {record.select_on} "
                f"{record.controls.off.scores[split][record.select_on]:.4f} -> "
                f"{mixed.mixed.scores[split][record.select_on]:.4f} (beta {mixed.beta})"
            )
            what += f", temperature {scaled.temperature:.2f}" if scaled else ""
        head = f"[{self._finished}/{self._total}] {record.status:7} {cell.label}"
        self.reporter.note(f"{head}: {what} [{record.seconds:.1f} s]")

    def _summary(self) -> int:
        found = {p.cell.key: self.store.read(p.cell.key) for p in self.planned}
        status = {key: r.status if isinstance(r, Record) else "missing" for key, r in found.items()}
        counts = Counter(status.values())
        shown = ", ".join(f"{counts[name]} {name}" for name in counts)
        minutes = (time.perf_counter() - self._began) / 60
        self.console.print(f"{self.store.folder}: {shown}; {minutes:.1f} min", highlight=False)
        bad = [p.cell for p in self.planned if status[p.cell.key] in ("failed", "missing")]
        for cell in bad:
            record = found[cell.key]
            reason = record.reason if isinstance(record, Record) else "no usable record"
            self.console.print(f"  {cell.label}: {reason}", highlight=False, markup=False)
        self.console.print(f"bench report {self.store.folder}", highlight=False, markup=False)
        return 1 if bad else 0
