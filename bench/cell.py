"""A cell: the unit of work, of resuming and of the report. Plain JSON in, one record out.

``python -m bench.cell CELL.json --store RUN --cache CACHE`` runs one cell anywhere; the files are
the only channel back.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from bench.config import RunConfig
from bench.executors.quiet import quieten
from bench.pipeline import identity as identities
from bench.pipeline.controls import Controls
from bench.pipeline.knowledge_base import Base
from bench.pipeline.retrieval import Retrieval
from bench.pipeline.student import TaskPipeline
from bench.records import provenance
from bench.records.run import Provenance, Record, RetrievalResult, TeacherFacts, TrainingResult
from bench.records.store import Store, StoreError
from reaugkd.artifacts import fingerprint
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.distiller import FINE_TUNED
from reaugkd.errors import UserError
from reaugkd.reporter import Reporter, Silent
from reaugkd.retrieval.ann.auto import backend as auto
from reaugkd.retrieval.sweep import Grid
from reaugkd.tasks import get_task


class Cell(BaseModel):
    """One cell as plain JSON.

    Attributes:
        kind: ``training`` (one student), ``retrieval`` (that student, one base, one backend) or
            ``control`` (that student with what is no knowledge base).
        key: fingerprint of ``identity``.
        identity: everything that decides the result.
        config: the run's configuration, resolved for the task.
        backend, keys, values, share, control: of a retrieval cell, see
            :class:`bench.pipeline.knowledge_base.Base`.
        asked: the spec that ``backend`` was chosen for, if it was left open (``auto``).
        needs: key of the training cell that another cell stands on.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["training", "retrieval", "control"]
    key: str
    identity: dict[str, Any]
    config: RunConfig
    task: str
    method: str
    seed: int
    backend: str | None = None
    keys: str | None = None
    values: str | None = None
    share: float | None = None
    control: str | None = None
    asked: str | None = None
    needs: str | None = None

    @property
    def base(self) -> Base:
        """The knowledge base of a retrieval cell.

        Raises:
            ValueError: if it is no retrieval cell.
        """
        if self.keys is None or self.values is None or self.share is None or self.control is None:
            raise ValueError(f"{self.task} {self.method}: a {self.kind} cell has no knowledge base")
        return Base(self.method, self.seed, self.keys, self.values, self.share, self.control)

    @property
    def label(self) -> str:
        """The cell in a few words."""
        where = f" + {self.backend} ({self.base.label})" if self.backend else ""
        where += ": controls" if self.kind == "control" else ""
        return f"{self.task} {self.method} seed {self.seed}{where}"

    def summary(self) -> dict[str, Any]:
        """What the plan of a run keeps of it."""
        return self.model_dump(mode="json", exclude={"identity", "config"}, exclude_none=True)


class Workbench:
    """Runs cells in this process; the pipeline of a task is shared by its cells.

    Args:
        artifacts: where expensive steps are kept.
        reporter: told of progress.
        command: the command line, for provenance.
    """

    def __init__(self, artifacts: ArtifactStore, reporter: Reporter, command: str) -> None:
        self._artifacts, self._reporter, self._command = artifacts, reporter, command
        self._pipelines: dict[str, TaskPipeline] = {}
        self._retrievals: dict[str, Retrieval] = {}

    def pipeline(self, config: RunConfig) -> TaskPipeline:
        """The pipeline of a configuration that is resolved for one task."""
        key = fingerprint.of_json(config.model_dump(mode="json"))
        if key not in self._pipelines:

            def stamp(load: tuple[float, float, float]) -> dict[str, Any]:
                made = provenance.collect(self._command, load, config.device)
                return made.model_dump(mode="json")

            self._pipelines[key] = TaskPipeline(config, self._artifacts, self._reporter, stamp)
        return self._pipelines[key]

    def resolved(self, spec: str, size: int, dim: int) -> str:
        """The backend that ``spec`` stands for here, which for ``auto`` may have to be measured."""
        places: dict[str, Any] = {"cache": self._artifacts.root, "reporter": self._reporter}
        return auto.resolve(spec, size, dim, **places)

    def run(self, cell: Cell) -> tuple[Record, dict[str, NDArray[Any]]]:
        """The cell's record (of a failure too) and the arrays to keep beside it."""
        work = {
            "training": self._training,
            "retrieval": self._retrieval,
            "control": self._control,
        }[cell.kind]
        return self._guarded(cell, work)

    def _guarded(
        self, cell: Cell, work: Callable[[Cell], tuple[dict[str, Any], dict[str, NDArray[Any]]]]
    ) -> tuple[Record, dict[str, NDArray[Any]]]:
        began, load = time.perf_counter(), os.getloadavg()
        result: dict[str, Any] = {}
        arrays: dict[str, NDArray[Any]] = {}
        try:
            self._check(cell)
            result, arrays = work(cell)
            outcome: dict[str, Any] = {"status": "ok", **result}
        except Exception as error:  # noqa: BLE001  see below
            # Any failure of one cell is recorded, so that the rest of the matrix goes on; a user
            # error needs no traceback, its message says what to mend.
            reason = str(error).strip() or type(error).__name__
            if not isinstance(error, UserError):
                reason = f"{type(error).__name__}: {reason}"
            outcome = {
                "status": "failed",
                "reason": reason.splitlines()[0],
                "traceback": traceback.format_exc(),
            }
        return self._record(cell, outcome, time.perf_counter() - began, load), arrays

    def _check(self, cell: Cell) -> None:
        """A worker must find the rows and models that the cell was planned with."""
        pipeline = self.pipeline(cell.config)
        if cell.kind == "retrieval":
            found = identities.of_retrieval(pipeline, cell.base, str(cell.backend))
        elif cell.kind == "control":
            found = identities.of_control(pipeline, cell.method, cell.seed)
        else:
            found = identities.of_training(pipeline, cell.method, cell.seed)
        if found != cell.identity:
            changed = [name for name in found if found[name] != cell.identity.get(name)]
            raise UserError(f"not what was planned any more: {', '.join(changed)}; plan again")

    def skipped(self, cell: Cell, reason: str) -> Record:
        """The record of a cell that cannot run, with the reason."""
        return self._record(cell, {"status": "skipped", "reason": reason}, 0.0, os.getloadavg())

    def _record(
        self,
        cell: Cell,
        outcome: dict[str, Any],
        seconds: float,
        load: tuple[float, float, float],
    ) -> Record:
        task = get_task(cell.task)
        outcome.setdefault(
            "provenance", provenance.collect(self._command, load, cell.config.device)
        )
        return Record(
            kind=cell.kind,
            key=cell.key,
            identity=cell.identity,
            task=task.name,
            title=task.title,
            suite=task.suite,
            regression=task.regression,
            metrics=list(task.metrics),
            select_on=task.select_on,
            tests=list(task.tests),
            method=cell.method,
            base=cell.config.base(cell.method),
            seed=cell.seed,
            settings=self.pipeline(cell.config).settings(cell.method),
            seconds=seconds,
            **outcome,
        )

    def _training(self, cell: Cell) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        pipeline = self.pipeline(cell.config)
        facts = dict(pipeline.student(cell.method, cell.seed).facts)
        teacher = None
        if pipeline.needs(cell.method) & FINE_TUNED:
            found = pipeline.teacher.artifact
            own = {"key": found.key, "init": cell.config.teacher.model.describe()}
            kept = {
                name: found.facts[name] for name in TeacherFacts.model_fields if name not in own
            }
            teacher = TeacherFacts(**own, **kept)
        made = Provenance.model_validate(facts.pop("provenance"))
        result = TrainingResult(
            source=pipeline.rows.data.source,
            notes=list(pipeline.rows.data.notes),
            rows={split: len(rows) for split, rows in pipeline.rows.splits.items()},
            majority=pipeline.rows.majority,
            teacher=teacher,
            student_init=pipeline.student_init,
            pooling=cell.config.pooling,
            **facts,
        )
        arrays = {}
        for split in pipeline.rows.queried:
            arrays[f"logits.{split}"] = pipeline.outputs(cell.method, cell.seed, split).logits
            arrays[f"labels.{split}"] = pipeline.rows.labels(split)
        return {"training": result, "provenance": made}, arrays

    def _retrieval(self, cell: Cell) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        base, pipeline, wanted = cell.base, self.pipeline(cell.config), cell.config.retrieval
        name = fingerprint.of_json([cell.needs, asdict(base), wanted.model_dump(mode="json")])
        if name not in self._retrievals:
            # Only the newest is kept: it holds the neighbours and indexes of one student.
            grid = Grid(wanted.k, wanted.beta, wanted.tau)
            self._retrievals = {name: Retrieval(pipeline, base, grid, wanted.recall_target)}
        result: RetrievalResult
        result, arrays = self._retrievals[name].run(str(cell.backend), str(cell.needs))
        return {"retrieval": result}, arrays

    def _control(self, cell: Cell) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        controls = Controls(self.pipeline(cell.config), cell.method, cell.seed)
        result, arrays = controls.run(str(cell.needs))
        return {"controls": result}, arrays


def run_and_store(cell: Cell, workbench: Workbench, store: Store) -> Record:
    """Run ``cell`` and write its record.

    Raises:
        StoreError: if the record cannot be written.
    """
    record, arrays = workbench.run(cell)
    store.write(record, arrays)
    return record


def main(cell_file: Path, store: Path, cache: Path, reporter: Reporter | None = None) -> Record:
    """Run the cell in ``cell_file``; see the module's docstring.

    Raises:
        StoreError: if the file does not hold a cell.
    """
    try:
        cell = Cell.model_validate_json(cell_file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"{cell_file} holds no cell: {error}") from error
    if cell.config.threads is not None:
        import torch

        torch.set_num_threads(cell.config.threads)
    quieten()
    target = Store(store)
    target.create()
    listener = reporter or Silent()
    command = f"python -m bench.cell {cell_file.name}"
    return run_and_store(cell, Workbench(ArtifactStore(cache, listener), listener, command), target)


if __name__ == "__main__":
    from bench.cli.cell import cell as command_line

    command_line()
