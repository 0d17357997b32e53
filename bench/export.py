"""From a finished run to something that serves: one student, its knowledge base, its index."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

from datasets import Dataset
from pydantic import ValidationError

from bench import facts, plan
from bench.cell import Cell
from bench.config import RunConfig
from bench.pipeline.base import BaseBuilder
from bench.pipeline.teacher import ENCODER
from bench.pipeline.workbench import Workbench
from bench.records.base import NONE
from bench.records.run import Record, RetrievalResult
from bench.records.store import RUN, Store, StoreError
from reaugkd.errors import UserError
from reaugkd.models.encoder import Encoder
from reaugkd.models.runtime import Runtime
from reaugkd.retrieval import ann
from reaugkd.retrieval.agreement import Agreement, compare
from reaugkd.retrieval.classifier import RetrievalAugmentedClassifier
from reaugkd.retrieval.facts import ClassifierFacts
from reaugkd.retrieval.knowledge_base import KnowledgeBase
from reaugkd.tasks import metrics, spelled


def planned(
    store: Store,
    workbench: Workbench,
    *,
    task: str | None = None,
    backend: str | None = None,
    data_dir: Path | None = None,
) -> list[Cell]:
    """The cells of a run, planned again from the settings that it keeps, here and now.

    Args:
        store: of the run.
        workbench: whose pipelines read the rows.
        task: the only one to plan; None for all.
        backend: the only one to plan, so that the libraries of the others need not be here.
        data_dir: where GLUE lies now, if not where the run found it.

    Raises:
        StoreError: if the run is damaged.
    """
    configs, tasks = {}, store.read_run().get("tasks", {})
    if task is not None:
        task = spelled(task, tasks)
    for name, stored in tasks.items():
        try:
            config = RunConfig.model_validate(stored)
        except ValidationError as error:
            message = f"{store.folder / RUN} is damaged: {error.errors()[0]['msg']}"
            raise StoreError(message) from error
        if backend is not None:
            specs = [spec for spec in config.retrieval.ann if ann.canonical(spec) == backend]
            retrieval = config.retrieval.model_copy(update={"ann": tuple(specs)})
            config = config.model_copy(update={"retrieval": retrieval})
        if data_dir is not None:
            data = config.data.model_copy(update={"dir": data_dir})
            config = config.model_copy(update={"data": data})
        if task in (None, name):
            configs[name] = config
    return plan.make(configs, workbench)


def find(
    store: Store, workbench: Workbench, wanted: dict[str, Any], *, any_backend: bool = False
) -> tuple[Cell, Record]:
    """The one finished retrieval cell of a run whose fields are those ``wanted``; None fits all.

    With ``any_backend`` cells that differ in their backend alone are one: the first is taken.

    Raises:
        StoreError: if the run is damaged, or none or several cells fit.
    """
    fields = {name: value for name, value in wanted.items() if value is not None}
    cells = planned(store, workbench, task=fields.get("task"), backend=fields.get("backend"))
    if "task" in fields:
        fields["task"] = spelled(fields["task"], {cell.task for cell in cells})
    fitting = [
        cell
        for cell in cells
        if cell.kind == "retrieval"
        and cell.control == NONE  # the others answer worse on purpose
        and all(getattr(cell, name) == value for name, value in fields.items())
    ]
    if any_backend:
        students = {(cell.task, cell.base, cell.skip_rule): cell for cell in reversed(fitting)}
        fitting = list(students.values())
    if len(fitting) != 1:
        shown = ", ".join(f"{name} {value}" for name, value in fields.items()) or "no choice"
        some = "; ".join(cell.label for cell in fitting[:6]) or "none"
        raise StoreError(f"{store.folder}: one retrieval cell must fit {shown}, found: {some}")
    record = store.read(fitting[0].key)
    if not isinstance(record, Record) or record.retrieval is None:
        raise StoreError(f"{fitting[0].label} has not finished in {store.folder}")
    return fitting[0], record


def classifier(
    cell: Cell,
    record: Record,
    workbench: Workbench,
    *,
    texts: bool = False,
    known: ClassifierFacts | None = None,
) -> RetrievalAugmentedClassifier:
    """The classifier of a finished retrieval cell, with the setting chosen on held-out rows.

    With ``texts`` it keeps those of its entries, to explain its answers with; ``known`` is what its
    model card tells, by default what ``record`` alone says.

    Student, knowledge base and index come from the cache; on a machine without it they are made
    again from the same settings, the teacher included.
    """
    result = record.retrieval
    if result is None:
        raise UserError(f"{cell.label} is no retrieval cell")
    pipeline = workbench.pipeline(cell.config)
    builder = BaseBuilder(pipeline, cell.base)
    index, _ = builder.index(result.backend)
    index.effort = result.search.effort
    return RetrievalAugmentedClassifier(
        Encoder.from_pretrained(pipeline.student(cell.method, cell.seed).path / ENCODER),
        pipeline.reading(cell.method).tokenizer,
        builder.built.knowledge_base,
        index,
        k=result.chosen.k,
        tau=result.chosen.tau,
        beta=result.chosen.beta,
        labels=pipeline.task.labels,
        max_length=cell.config.data.max_length,
        precision=cell.config.student.recipe.decided_precision,
        pair=pipeline.task.pair,
        weigh=result.count_weight,
        skip_above=_threshold(result),
        texts=_texts(pipeline.rows.data.fit, builder.built.knowledge_base) if texts else None,
        facts=known or facts.of_cell(record, None),
    )


def _texts(fit: Dataset, base: KnowledgeBase) -> dict[int, tuple[str, ...]]:
    """Id -> text or pair of the rows of fit that are entries."""
    columns = [fit[name] for name in ("text_a", "text_b") if name in fit.column_names]
    rows, ids = zip(*columns, strict=True), set(base.ids.tolist())
    return {number: row for number, row in zip(fit["idx"], rows, strict=True) if number in ids}


def _threshold(result: RetrievalResult) -> float:
    """The margin above which the student answers alone; infinite where every text is looked up."""
    threshold = result.skip.threshold if result.skip else None
    return math.inf if threshold is None else threshold


ROWS = 1_000
"""Of a split at most, on which an ONNX student is compared with torch's."""


class Exported(NamedTuple):
    """An ONNX student beside torch's, on rows that it was not trained on.

    Attributes:
        split: where the rows come from.
        agreement: of the final answers, retrieval included.
        scores: by metric, torch's and the ONNX student's.
    """

    runtime: Runtime
    split: str
    agreement: Agreement
    scores: dict[str, tuple[float, float]]


def export(
    store: Store,
    workbench: Workbench,
    wanted: dict[str, Any],
    folder: Path,
    *,
    texts: bool = False,
    runtimes: tuple[Runtime, ...] = (),
    license: str | None = None,
) -> tuple[Record, list[Exported]]:
    """Save the classifier of the cell that fits ``wanted`` below ``folder``, with a model card.

    With ``texts`` those of its entries are saved too; for ``runtimes`` its student also as ONNX
    files, each compared with torch's; ``license`` is the identifier that the card gives.

    Raises:
        UserError: if no single finished cell fits, or the folder cannot be written.
        MissingLibraryError: without the libraries of ONNX.
    """
    cell, record = find(store, workbench, wanted)
    known = facts.of_run(store, record)
    if license is not None:
        known = known.licensed(license)  # a mistake is told before anything is loaded
    made = classifier(cell, record, workbench, texts=texts, known=known)
    if not runtimes:
        made.save_pretrained(folder)
        return record, []
    made.export_onnx(folder, int8="onnx-int8" in runtimes)
    return record, [_compared(made, folder, runtime, cell, workbench) for runtime in runtimes]


def _compared(
    reference: RetrievalAugmentedClassifier,
    folder: Path,
    runtime: Runtime,
    cell: Cell,
    workbench: Workbench,
) -> Exported:
    """The classifier in ``folder`` behind ``runtime`` beside the one it was exported from."""
    pipeline = workbench.pipeline(cell.config)
    split = pipeline.task.tests[0]
    rows = pipeline.rows.data.splits()[split]
    rows = rows.select(range(min(ROWS, len(rows))))
    columns = [rows[name] for name in ("text_a", "text_b") if name in rows.column_names]
    texts = list(columns[0]) if len(columns) == 1 else list(zip(*columns, strict=True))
    other = RetrievalAugmentedClassifier.from_pretrained(folder, backend=runtime)
    answers = [asked.predict(texts) for asked in (reference, other)]
    first, second = (
        metrics.of_probabilities(pipeline.task, answer.probabilities, rows["label"])
        for answer in answers
    )
    scores = {name: (first[name], second[name]) for name in first}
    return Exported(runtime, split, compare(*answers), scores)
