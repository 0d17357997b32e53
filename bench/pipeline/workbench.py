"""The workbench: runs cells in this process, each to one record."""

from __future__ import annotations

import os
import time
import traceback
from dataclasses import asdict
from typing import Any

from numpy.typing import NDArray

from bench.cell import Cell
from bench.config import RunConfig
from bench.pipeline import identity as identities
from bench.pipeline.controls import Controls
from bench.pipeline.data import TaskRows
from bench.pipeline.proving import Proofs
from bench.pipeline.retrieval import Retrieval
from bench.pipeline.student import TaskPipeline
from bench.records import provenance
from bench.records.run import Provenance, Record, RetrievalResult, TeacherFacts, TrainingResult
from bench.task import task_of
from reaugkd.artifacts import fingerprint
from reaugkd.artifacts.disk import DiskFullError
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.distiller import FINE_TUNED
from reaugkd.errors import UserError
from reaugkd.reporter import Reporter
from reaugkd.retrieval.ann.auto import backend as auto

Load = tuple[float, float, float]
Arrays = dict[str, NDArray[Any]]
Result = dict[str, Any]
"""Fields of a record that the kind of its cell decides."""


class Workbench:
    """Runs cells in this process; the pipeline of a task is shared by its cells."""

    def __init__(self, artifacts: ArtifactStore, reporter: Reporter, command: str) -> None:
        self._artifacts, self._reporter, self._command = artifacts, reporter, command
        self._pipelines: dict[str, TaskPipeline] = {}
        self._rows: dict[str, TaskRows] = {}
        self._retrievals: dict[str, Retrieval] = {}
        self._proofs = Proofs()

    def pipeline(self, config: RunConfig) -> TaskPipeline:
        """The pipeline of a configuration that is resolved for one task."""
        key = fingerprint.of_json(config.model_dump(mode="json"))
        if key not in self._pipelines:

            def stamp(load: Load) -> dict[str, Any]:
                return self._provenance(load, config).model_dump(mode="json")

            self._pipelines[key] = TaskPipeline(
                config,
                self._shared_rows(config),
                self._artifacts,
                self._reporter,
                stamp,
                self._proofs,
            )
        return self._pipelines[key]

    def _shared_rows(self, config: RunConfig) -> TaskRows:
        """The rows of a configuration; what differs in recipes alone reads the same ones."""
        parts = {"tasks", "metrics", "data", "teacher", "student"}
        apart = {"teacher": {"recipe"}, "student": {"recipe"}}
        key = fingerprint.of_json(config.model_dump(mode="json", include=parts, exclude=apart))
        if key not in self._rows:
            self._rows[key] = TaskRows(config, self._artifacts)
        return self._rows[key]

    def _provenance(self, load: Load, config: RunConfig) -> Provenance:
        return provenance.collect(self._command, load, config.device)

    def resolved(self, spec: str, size: int, dim: int) -> str:
        """The backend that ``spec`` stands for here, which for ``auto`` may have to be measured."""
        cache = self._artifacts.root
        return auto.resolve(spec, size, dim, cache=cache, reporter=self._reporter)

    def run(self, cell: Cell) -> tuple[Record, Arrays]:
        """The cell's record (of a failure too) and the arrays to keep beside it."""
        began, load, arrays = time.perf_counter(), os.getloadavg(), Arrays()
        if cell.skip is not None:
            return self._record(cell, {"status": "skipped", "reason": cell.skip}, 0.0, load), {}
        work = {
            "training": self._training,
            "retrieval": self._retrieval,
            "control": self._control,
        }[cell.kind]
        try:
            self._check(cell)
            result, arrays = work(cell)
            outcome = {"status": "ok", **result}
        except DiskFullError:
            raise  # every further cell would fail for want of room, after its training
        except Exception as error:  # noqa: BLE001  see below
            # Any failure of one cell is recorded, so that the rest of the matrix goes on.
            kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
            reason = kind + (str(error).strip() or type(error).__name__).splitlines()[0]
            outcome = {"status": "failed", "reason": reason, "traceback": traceback.format_exc()}
        return self._record(cell, outcome, time.perf_counter() - began, load), arrays

    def _check(self, cell: Cell) -> None:
        """A worker must find the rows and models that the cell was planned with."""
        pipeline, base = self.pipeline(cell.config), cell.base if cell.backend else None
        student = cell.kind, cell.method, cell.seed
        identity = identities.of(pipeline, *student, base, cell.backend, cell.skip_rule)
        if identity != cell.identity:
            changed = [name for name in identity if identity[name] != cell.identity.get(name)]
            raise UserError(f"not what was planned any more: {', '.join(changed)}; plan again")

    def _record(self, cell: Cell, outcome: Result, seconds: float, load: Load) -> Record:
        task = task_of(cell.config)
        outcome.setdefault("provenance", self._provenance(load, cell.config))
        names = {
            name: getattr(cell, name) for name in ("kind", "key", "identity", "method", "seed")
        }
        of_task = ("title", "suite", "regression", "select_on")
        return Record(
            **names,
            **{name: getattr(task, name) for name in of_task},
            task=task.name,
            metrics=list(task.metrics),
            tests=list(task.tests),
            base=cell.config.base(cell.method),
            settings=self.pipeline(cell.config).settings(cell.method),
            seconds=seconds,
            **outcome,
        )

    def _training(self, cell: Cell) -> tuple[Result, Arrays]:
        pipeline = self.pipeline(cell.config)
        student = cell.method, cell.seed
        facts, teacher = dict(pipeline.student(*student).facts), None
        # The outputs are scored, not the artefact read: it may have been made for other metrics.
        outputs = {split: pipeline.outputs(*student, split) for split in pipeline.rows.queried}
        del facts["scores"]
        trained_with = Provenance.model_validate(facts.pop("provenance"))
        if pipeline.needs(cell.method) & FINE_TUNED:
            artifact = pipeline.teacher.artifact
            kept = {k: v for k, v in artifact.facts.items() if k in TeacherFacts.model_fields}
            kept |= {"key": artifact.key, "init": pipeline.teacher.init}
            kept |= {"scores": pipeline.teacher.scores}
            teacher = TeacherFacts(**kept)
        result = TrainingResult(
            source=pipeline.rows.data.source,
            notes=[*pipeline.rows.notes, *(pipeline.teacher.notes if teacher else ())],
            rows={split: len(rows) for split, rows in pipeline.rows.data.splits().items()},
            scores={split: pipeline.rows.scores(split, o.logits) for split, o in outputs.items()},
            majority=pipeline.rows.majority,
            teacher=teacher,
            student_init=pipeline.student_init(cell.method),
            pooling=cell.config.pooling,
            **facts,
        )
        arrays = {}
        for split in pipeline.rows.queried:
            arrays[f"logits.{split}"] = outputs[split].logits
            arrays[f"labels.{split}"] = pipeline.rows.labels(split)
        return {"training": result, "provenance": trained_with}, arrays

    def _retrieval(self, cell: Cell) -> tuple[Result, Arrays]:
        base, pipeline, wanted = cell.base, self.pipeline(cell.config), cell.config.retrieval
        name = fingerprint.of_json([cell.needs, asdict(base), wanted.model_dump(mode="json")])
        if name not in self._retrievals:
            # Only the newest is kept: it holds the neighbours and indexes of one student.
            self._retrievals = {name: Retrieval(pipeline, base)}
        result: RetrievalResult
        retrieval = self._retrievals[name]
        result, arrays = retrieval.run(str(cell.backend), str(cell.needs), cell.skip_rule)
        return {"retrieval": result}, arrays

    def _control(self, cell: Cell) -> tuple[Result, Arrays]:
        controls = Controls(self.pipeline(cell.config), cell.method, cell.seed)
        result, arrays = controls.run(str(cell.needs))
        return {"controls": result}, arrays
