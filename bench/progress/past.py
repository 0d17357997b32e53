"""What the cells of an earlier run took, where this machine made them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from pydantic import ValidationError

from bench.config import RunConfig
from bench.progress.eta import TEACHER, Work, seconds_of
from bench.records.results import Results
from bench.records.run import Provenance, Record
from reaugkd.models.spec import ModelSpec


def works(
    results: Results, here: Provenance, planned: Collection[RunConfig]
) -> Iterator[tuple[Work, float]]:
    """The works of a run's finished cells with their seconds, and those of its teachers.

    Only cells count that say how long it takes here: of a CPU and a device like those of ``here``
    with as many threads, of a teacher and a student like those of a ``planned`` configuration.
    """
    models = [(config.teacher.model, config.student.model) for config in planned]
    rows = {record.key: training.rows["fit"] for record, training in results.trained}
    seen: set[str] = set()
    for record in results.records:
        if record.status != "ok" or not _alike(record.provenance, here):
            continue
        fit, config = rows.get(_student(record), 0), _config(results, record.task)
        if not fit or _models(config) not in models:
            continue
        yield _work(record, fit), seconds_of(record)
        teacher = record.training.teacher if record.training else None
        if teacher is not None and teacher.key not in seen and teacher.seconds > 0:
            seen.add(teacher.key)
            epochs = config["teacher"]["recipe"]["epochs"]
            yield Work(TEACHER, "", record.task, float(fit * max(1, epochs))), teacher.seconds


def _work(record: Record, fit: int) -> Work:
    if record.training is not None:
        epochs = record.identity["recipe"]["epochs"]
        return Work("training", record.method, record.task, float(fit * max(1, epochs)))
    backend = record.retrieval.backend if record.retrieval else None
    what = " ".join(filter(None, (record.method, backend)))
    return Work(record.kind, what, record.task, float(fit))


def _student(record: Record) -> str:
    about = record.retrieval or record.controls
    return about.training_key if about else record.key


def _config(results: Results, task: str) -> dict[str, Any]:
    """The configuration of a task as the plan has it."""
    of_task = (results.run.get("tasks") or {}).get(task) or results.run.get("config") or {}
    return dict(of_task)


def _models(config: dict[str, Any]) -> tuple[ModelSpec, ModelSpec] | None:
    """Teacher and student of a configuration; None if it has none that can be read."""
    try:
        teacher, student = (config[role]["model"] for role in ("teacher", "student"))
        return ModelSpec.model_validate(teacher), ModelSpec.model_validate(student)
    except (KeyError, TypeError, ValidationError):
        return None


def _alike(made: Provenance, here: Provenance) -> bool:
    return all(getattr(made, name) == getattr(here, name) for name in ("cpu", "device", "threads"))
