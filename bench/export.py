"""From a finished run to something that serves: one student, its knowledge base, its index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench import plan
from bench.cell import Cell
from bench.config import RunConfig
from bench.pipeline.retrieval import Retrieval
from bench.pipeline.teacher import ENCODER
from bench.pipeline.workbench import Workbench
from bench.records.base import NONE
from bench.records.run import Record
from bench.records.store import RUN, Store, StoreError
from reaugkd.errors import UserError
from reaugkd.models.encoder import Encoder
from reaugkd.retrieval import ann
from reaugkd.retrieval.classifier import RetrievalAugmentedClassifier


def find(
    store: Store, workbench: Workbench, wanted: dict[str, Any], *, any_backend: bool = False
) -> tuple[Cell, Record]:
    """The one finished retrieval cell of a run that fits.

    Args:
        store: the run.
        workbench: where its steps are found again.
        wanted: fields of the cell (task, method, seed, backend, keys, values,
            share); None fits all.
        any_backend: cells that differ in their backend alone are one: the first is taken.

    Raises:
        StoreError: if the run is damaged, or none or several cells fit.
    """
    try:
        stored = store.read_run().get("tasks", {})
        configs = {
            name: RunConfig.model_validate(config)
            for name, config in stored.items()
            if wanted.get("task") in (None, name)
        }
    except ValidationError as error:
        raise StoreError(f"{store.folder / RUN} is damaged: {error.errors()[0]['msg']}") from error
    if wanted.get("backend") is not None:  # the libraries of the others need not be here
        configs = {n: narrowed(config, wanted["backend"]) for n, config in configs.items()}
    fields = {name: value for name, value in wanted.items() if value is not None}
    fitting = [
        cell
        for cell in plan.make(configs, workbench)
        if cell.kind == "retrieval"
        and cell.control == NONE  # the others answer worse on purpose
        and all(getattr(cell, name) == value for name, value in fields.items())
    ]
    if any_backend:
        students = {(cell.task, cell.base): cell for cell in reversed(fitting)}
        fitting = list(students.values())
    if len(fitting) != 1:
        shown = ", ".join(f"{name} {value}" for name, value in fields.items()) or "no choice"
        some = "; ".join(cell.label for cell in fitting[:6]) or "none"
        raise StoreError(f"{store.folder}: one retrieval cell must fit {shown}, found: {some}")
    record = store.read(fitting[0].key)
    if not isinstance(record, Record) or record.retrieval is None:
        raise StoreError(f"{fitting[0].label} has not finished in {store.folder}")
    return fitting[0], record


def narrowed(config: RunConfig, backend: str) -> RunConfig:
    """``config`` with ``backend`` alone, if it is among its backends."""
    specs = tuple(s for s in config.retrieval.ann if ann.canonical(s) == backend)
    retrieval = config.retrieval.model_copy(update={"ann": specs})
    return config.model_copy(update={"retrieval": retrieval})


def classifier(cell: Cell, record: Record, workbench: Workbench) -> RetrievalAugmentedClassifier:
    """The classifier of a finished retrieval cell, with the setting chosen on held-out rows.

    Student, knowledge base and index come from the cache; on a machine without it they are made
    again from the same settings, the teacher included.
    """
    result = record.retrieval
    if result is None:
        raise UserError(f"{cell.label} is no retrieval cell")
    pipeline = workbench.pipeline(cell.config)
    retrieval = Retrieval(pipeline, cell.base)
    index, _ = retrieval.built(result.backend)
    index.effort = result.search.effort
    return RetrievalAugmentedClassifier(
        Encoder.from_pretrained(pipeline.student(cell.method, cell.seed).path / ENCODER),
        pipeline.rows.tokenizer,
        retrieval.knowledge_base,
        index,
        k=result.chosen.k,
        tau=result.chosen.tau,
        beta=result.chosen.beta,
        labels=pipeline.task.labels,
        max_length=cell.config.data.max_length,
        precision=cell.config.student.recipe.precision,
    )


def export(store: Store, workbench: Workbench, wanted: dict[str, Any], folder: Path) -> Record:
    """Save the classifier of the cell that fits ``wanted`` below ``folder``.

    Raises:
        UserError: if no single finished cell fits, or the folder cannot be written.
    """
    cell, record = find(store, workbench, wanted)
    classifier(cell, record, workbench).save_pretrained(folder)
    return record
