"""What a real student brings to a measurement: its weights, its knowledge base, its sentences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import save_file

from bench.measure.bases import QUERIES, BaseSource
from bench.measure.indexes import Mixture
from bench.measure.inputs import Inputs
from reaugkd import tasks
from reaugkd.artifacts import fingerprint, sealed
from reaugkd.artifacts.store import Artifact, ArtifactStore
from reaugkd.errors import UserError
from reaugkd.reporter import Reporter
from reaugkd.retrieval.classifier import SETTINGS, RetrievalAugmentedClassifier
from reaugkd.retrieval.knowledge_base import FILE, KnowledgeBase
from reaugkd.retrieval.mixing import probabilities
from reaugkd.tasks.encode import encode
from reaugkd.training import inference

_SERVED, _QUERIES, _INPUTS = "classifier", "queries.safetensors", "inputs.npz"


class Served(NamedTuple):
    """One student that serves.

    Attributes:
        source: its knowledge base, and its embeddings of sentences that are not in it: as many
            held-out as test rows, the held-out ones first (so that efforts are tuned on those).
        mixture: k, tau and beta that were chosen for it.
        student: folder of the encoder.
        inputs: the token ids of those sentences, an npz of :class:`Inputs`.
        label: the student in a few words.
    """

    source: BaseSource
    mixture: Mixture
    student: Path
    inputs: Path
    label: str


def of_run(
    folder: Path, wanted: Mapping[str, Any], store: ArtifactStore, reporter: Reporter
) -> Served:
    """The student of the one retrieval cell of a run that fits ``wanted``.

    Args:
        folder: the run's.
        wanted: names of a cell; what is None or not there fits all. Cells that differ in their
            backend alone are one student.
        store: the cache, in which the run's steps are found again.
        reporter: told of what has to be made again.

    Raises:
        UserError: if no single student fits, or the run is damaged.
    """
    from bench import export
    from bench.pipeline.workbench import Workbench
    from bench.records.store import Store

    workbench = Workbench(store, reporter, "bench latency")
    cell, record = export.find(Store(folder), workbench, dict(wanted), any_backend=True)

    def build(work: Path) -> None:
        rows = workbench.pipeline(cell.config).rows
        classifier = export.classifier(cell, record, workbench)
        _write(classifier, rows.splits, rows.task.tests[0], f"real {cell.task}", work)

    artifact = store.get("served", {"cell": cell.key}, build)
    init = record.retrieval.student_init if record.retrieval else "student"
    return _served(artifact, cell.task, f"{init}, {cell.method} seed {cell.seed}")


def of_classifier(folder: Path, task: str, data_dir: str | None, store: ArtifactStore) -> Served:
    """A classifier that ``bench export`` or ``save_pretrained`` wrote.

    Args:
        folder: the classifier's.
        task: the task whose sentences it is asked; those of the embedded suite need no files.
        data_dir: folder of GLUE in the layout of the official download; the hub without it.
        store: the cache.

    Raises:
        UserError: if it cannot be loaded, or the data cannot be read.
    """
    data = tasks.load(task, data_dir=data_dir)
    seal = sealed.peek(folder / "knowledge_base", FILE)["payload"]
    student = [path for path in sorted((folder / "student").glob("*")) if path.is_file()]
    files = fingerprint.of_files([*student, folder / SETTINGS])
    identity = {"base": seal, "classifier": files, "data": data.fingerprint}

    def build(work: Path) -> None:
        classifier = RetrievalAugmentedClassifier.from_pretrained(folder)
        splits = encode(data, classifier.tokenizer, classifier.max_length)
        _write(classifier, splits, data.task.tests[0], f"real {data.task.name}", work)

    return _served(store.get("served", identity, build), data.task.name, folder.resolve().name)


def _write(
    classifier: RetrievalAugmentedClassifier,
    splits: Mapping[str, Any],
    test: str,
    label: str,
    work: Path,
) -> None:
    """Keep the classifier, its queries and its inputs below ``work``."""
    classifier.save_pretrained(work / _SERVED)
    held, tested = splits["held_out"], splits[test]
    many = min(len(held), len(tested), QUERIES // 2)
    if many < 1:
        raise UserError(f"{label}: no held-out or no test rows to query with")
    parts = [split.select(range(many)) for split in (held, tested)]
    pad = int(classifier.tokenizer.pad_token_id or 0)
    outputs = [inference.run(classifier.encoder, part, pad) for part in parts]
    distributions = np.concatenate([probabilities(output.logits) for output in outputs])
    queries = np.concatenate([output.embedding for output in outputs])
    save_file({"queries": queries, "student": distributions}, work / _QUERIES)
    ids = [row for part in parts for row in part["input_ids"]]
    typed = "token_type_ids" in held.column_names
    types = [row for part in parts for row in part["token_type_ids"]] if typed else None
    Inputs.of(ids, label, types, pad).save(work / _INPUTS)


def _served(artifact: Artifact, name: str, label: str) -> Served:
    folder = artifact.path / _SERVED
    chosen = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    base = KnowledgeBase.load(folder / "knowledge_base")
    source = BaseSource(
        name=f"{name} (real)",
        size=len(base),
        dim=base.keys.shape[1],
        classes=base.values.shape[1],
        generated=False,
        identity={"served": artifact.key},
        files=lambda: (folder / "knowledge_base", artifact.path / _QUERIES),
    )
    mixture = Mixture(chosen["k"], chosen["tau"], chosen["beta"])
    return Served(source, mixture, folder / "student", artifact.path / _INPUTS, label)
