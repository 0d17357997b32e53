"""What a real student brings to a measurement: its weights, its knowledge base, its sentences."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from bench.measure.bases import QUERIES, BaseSource
from bench.measure.inputs import Inputs
from bench.measure.job import FolderStudent
from bench.measure.options import Options, require_k
from bench.measure.subjects import INPUTS, InputFile, Subject
from bench.records.measurement import Reduction
from reaugkd import tasks
from reaugkd.artifacts import fingerprint, sealed
from reaugkd.artifacts.parts import part
from reaugkd.artifacts.store import Artifact, ArtifactStore
from reaugkd.errors import UserError
from reaugkd.models.encoder import Encoder
from reaugkd.reporter import Reporter
from reaugkd.retrieval import skip
from reaugkd.retrieval.classifier import RetrievalAugmentedClassifier
from reaugkd.retrieval.condense import FULL
from reaugkd.retrieval.knowledge_base import FILE, KnowledgeBase
from reaugkd.retrieval.mixing import probabilities
from reaugkd.retrieval.saved import BASE, SETTINGS, STUDENT
from reaugkd.tasks.encode import encode
from reaugkd.training import inference

CONDENSED = "condensed"
"""The condenser of a base that does not say which: its entries stand for several rows."""

_SERVED, _QUERIES = "classifier", "queries.safetensors"


def subject(options: Options, store: ArtifactStore, reporter: Reporter) -> Subject:
    """The student of the run or the classifier that the options name, as it serves.

    Its queries are its embeddings of sentences that are not in its knowledge base: as many held-out
    as test rows, the held-out ones first (so that efforts are tuned on those).

    Raises:
        UserError: if no single student fits, or what is there cannot be used.
    """
    if options.run is not None:
        artifact, name, label = _of_run(options.run, options, store, reporter)
    else:
        assert options.classifier is not None  # the options have seen to it
        artifact, name, label = _of_classifier(options.classifier, options, store)
    folder, inputs = artifact.path / _SERVED, artifact.path / INPUTS
    chosen = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    base = KnowledgeBase.load(folder / BASE)
    identity = {"served": artifact.key}  # one artefact holds base, student and inputs
    beta = chosen["beta"] if options.beta is None else options.beta
    if not beta:
        raise UserError(f"{name} (real): beta 0 was chosen, nothing is retrieved: give --beta")
    source = BaseSource(
        name=f"{name} (real)",
        size=len(base),
        dim=base.width,
        classes=base.values.shape[1],
        generated=False,
        identity=identity,
        files=lambda: (folder / BASE, artifact.path / _QUERIES),
        reduction=_reduction(base, chosen, _skip_above(options.skip, beta, base, chosen)),
    )
    ks = options.k or (chosen["k"],)
    require_k(ks, source.name, source.size)
    return Subject(
        source=source,
        student_label=label,
        student_identity=identity,
        student=lambda: FolderStudent(path=str(folder / STUDENT)),
        ks=ks,
        tau=chosen["tau"] if options.tau is None else options.tau,
        beta=beta,
        inputs=(InputFile(inputs, Inputs.load(inputs).label, identity),),
    )


def _reduction(
    base: KnowledgeBase, chosen: Mapping[str, Any], skip_above: float
) -> Reduction | None:
    """What was done to a base that a classifier brings; None for nothing."""
    asked = Reduction(
        condense=str(base.manifest.get("condense", CONDENSED if base.counts is not None else FULL)),
        rows=None if base.counts is None else int(base.counts.sum()),
        pca=None if base.basis is None else base.keys.shape[1],
        value_bits=8 * base.values.dtype.itemsize,
        weigh=bool(chosen.get("weigh", False)) and base.counts is not None,
        skip_above=skip_above if skip_above < 1.0 else None,  # no margin is larger
    )
    return None if asked == Reduction() else asked


def _skip_above(
    rule: str | None, beta: float, base: KnowledgeBase, chosen: Mapping[str, Any]
) -> float:
    """The margin above which nothing is searched, by ``rule`` or, without one, as it was stored."""
    if rule is None:
        stored = chosen.get("skip_above")
        return math.inf if stored is None else float(stored)
    parsed = skip.parse(rule)
    parsed.require_classes(base.values.shape[1])
    return parsed.threshold(beta, (), ())


def _of_run(
    folder: Path, options: Options, store: ArtifactStore, reporter: Reporter
) -> tuple[Artifact, str, str]:
    """The one student of a run that fits; cells that differ in their backend alone are one.

    Its steps are found again in the store, or made again.
    """
    from bench import export
    from bench.pipeline.workbench import Workbench
    from bench.records.store import Store

    workbench = Workbench(store, reporter, "bench latency")
    wanted: dict[str, Any] = dict.fromkeys(("backend", "keys", "values", "share"))
    wanted |= {"task": options.task, "method": options.method, "seed": options.seed}
    cell, record = export.find(Store(folder), workbench, wanted, any_backend=True)

    def build(work: Path) -> None:
        pipeline = workbench.pipeline(cell.config)
        splits = pipeline.reading(cell.method).encoded.splits
        classifier = export.classifier(cell, record, workbench)
        _write(classifier, splits, pipeline.task.tests[0], f"real {cell.task}", work)

    artifact = store.get("served", {"cell": cell.key}, build)
    init = record.retrieval.student_init if record.retrieval else "student"
    return artifact, cell.task, f"{init}, {cell.method} seed {cell.seed}"


def _of_classifier(
    folder: Path, options: Options, store: ArtifactStore
) -> tuple[Artifact, str, str]:
    """A classifier that ``bench export`` or ``save_pretrained`` wrote, asked a task's sentences."""
    data_dir = None if options.data_dir is None else str(options.data_dir)
    data = tasks.load(str(options.task), data_dir=data_dir)
    seal = sealed.peek(part(folder, BASE), FILE)["payload"]
    student = [path for path in sorted(part(folder, STUDENT).glob("*")) if path.is_file()]
    files = fingerprint.of_files([*student, part(folder, SETTINGS)])
    identity = {"base": seal, "classifier": files, "data": data.fingerprint}

    def build(work: Path) -> None:
        classifier = RetrievalAugmentedClassifier.from_pretrained(folder)
        if classifier.pair not in (None, data.task.pair):
            takes, has = (("sentences", "pairs")[p] for p in (classifier.pair, data.task.pair))
            raise UserError(f"{folder} takes {takes}, but the texts of {data.task.name} are {has}")
        splits = encode(data, classifier.tokenizer, classifier.max_length)
        _write(classifier, splits, data.task.tests[0], f"real {data.task.name}", work)

    return store.get("served", identity, build), data.task.name, folder.resolve().name


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
    assert isinstance(classifier.encoder, Encoder)  # whatever is measured, queries are torch's
    pad = int(classifier.tokenizer.pad_token_id or 0)
    outputs = [inference.run(classifier.encoder, part, pad) for part in parts]
    distributions = np.concatenate([probabilities(output.logits) for output in outputs])
    queries = np.concatenate([output.embedding for output in outputs])
    save_file({"queries": queries, "student": distributions}, work / _QUERIES)
    ids = [row for part in parts for row in part["input_ids"]]
    typed = "token_type_ids" in held.column_names
    types = [row for part in parts for row in part["token_type_ids"]] if typed else None
    Inputs.of(ids, label, types, pad).save(work / INPUTS)
