"""Records as a run would leave them, with figures that a test chooses."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench.records.results import Results, load
from bench.records.run import (
    Choice,
    Cost,
    Provenance,
    Record,
    RetrievalResult,
    SearchFacts,
    Stage,
    TeacherFacts,
    TrainingResult,
)
from bench.records.store import Store
from bench.report import build
from bench.report.document import Report
from bench.report.inputs import RunInputs
from reaugkd.tasks import get_task, metrics


def provenance(**changes: Any) -> Provenance:
    values: dict[str, Any] = {
        "command": "bench run",
        "version": "0.1.0",
        "commit": "0123456789abcdef",
        "dirty": False,
        "time": "2025-01-02T03:04:05+00:00",
        "python": "3.11.7",
        "packages": {"torch": "2.13.0", "numpy": "2.0.0"},
        "cpu": "Test CPU",
        "cpu_flags": ["avx2"],
        "cores": 2,
        "affinity": [0, 1],
        "threads": 2,
        "load": [0.5, 0.4, 0.3],
        "device": "cpu",
    }
    return Provenance(**(values | changes))


def scores(task: str, value: float) -> dict[str, dict[str, float]]:
    """Every metric of every scored split: ``value``, the second metric 0.05 higher."""
    spec = get_task(task)
    return {
        split: {metric: value + 0.05 * place for place, metric in enumerate(spec.metrics)}
        for split in ("held_out", *spec.tests)
    }


def loss(task: str, value: float) -> dict[str, dict[str, float]]:
    """The loss of every scored split."""
    spec = get_task(task)
    name = "mse" if spec.regression else "nll"
    return {split: {name: value} for split in ("held_out", *spec.tests)}


def record(kind: str, key: str, task: str, method: str, seed: int, **changes: Any) -> Record:
    spec = get_task(task)
    values: dict[str, Any] = {
        "kind": kind,
        "key": key,
        "identity": {"kind": kind, "task": task, "method": method, "seed": seed},
        "status": "ok",
        "task": spec.name,
        "title": spec.title,
        "suite": spec.suite,
        "regression": spec.regression,
        "metrics": list(spec.metrics),
        "select_on": spec.select_on,
        "tests": list(spec.tests),
        "method": method,
        "base": method,
        "seed": seed,
        "settings": {},
        "seconds": 3.0,
        "provenance": provenance(),
    }
    return Record(**(values | changes))


def training(
    task: str = "mrpc",
    method: str = "kd",
    seed: int = 0,
    value: float = 0.8,
    *,
    teacher: bool = True,
    **changes: Any,
) -> Record:
    result = TrainingResult(
        source="folder",
        notes=[],
        rows={"fit": 3301, "held_out": 367, "dev": 408},
        majority=scores(task, 0.6),
        teacher=TeacherFacts(
            key=f"teacher-{task}",
            init="teacher-checkpoint",
            scores=scores(task, 0.9),
            best_epoch=2,
            seconds=60.0,
            parameters=22_000_000,
        )
        if teacher
        else None,
        student_init="teacher@0,2,4",
        pooling="cls",
        parameters=11_000_000,
        scores=scores(task, value),
        best_epoch=3,
        history=[],
        seconds=30.0,
        examples_per_second=100.0,
        steps=300,
        cost=Cost(
            steps_per_second=10.0,
            student_forwards=9903,
            student_backwards=9903,
            teacher_forwards=3301,
            teacher_backwards=0,
            cached_forwards=3301,
            peak_bytes=900_000_000,
            stages=[Stage(stage="projection-head", seconds=1.0, forwards=0, backwards=0)],
        ),
    )
    key = f"t-{task}-{method}-{seed}"
    return record("training", key, task, method, seed, **({"training": result} | changes))


def retrieval(
    task: str = "mrpc",
    method: str = "reaugkd",
    seed: int = 0,
    off: float = 0.8,
    on: float = 0.82,
    optimistic: float = 0.83,
    *,
    backend: str = "hnswlib",
    keys: str = "projected",
    k: int = 8,
    beta: float = 0.4,
    **changes: Any,
) -> Record:
    spec = get_task(task)
    shares = dict.fromkeys(("held_out", *spec.tests), 0.995)
    result = RetrievalResult(
        student_init="teacher@0,2,4",
        training_key=f"t-{task}-{method}-{seed}",
        backend=backend,
        keys=keys,
        values="soft",
        share=1.0,
        control="none",
        entries=3301,
        width=384,
        kb_bytes=5_000_000,
        ks=[1, 8, 32],
        betas=[0.0, 0.4],
        taus=[0.1],
        off=scores(task, off),
        off_loss=loss(task, 1 - off),
        chosen=Choice(
            k=k,
            beta=beta,
            tau=0.1,
            selected_on="held_out",
            scores=scores(task, on),
            loss=loss(task, 1 - on),
        ),
        optimistic=Choice(
            k=1,
            beta=0.4,
            tau=0.1,
            selected_on=spec.tests[0],
            scores=scores(task, optimistic),
            loss=loss(task, 1 - optimistic),
        ),
        search=SearchFacts(
            effort=64,
            target=0.99,
            target_met=True,
            recall=shares,
            agreement=shares,
            build_seconds=0.25,
            index_bytes=6_000_000,
            search_us_p50=90.0,
            search_us_p95=130.0,
            params={"M": 16},
        ),
    )
    key = f"r-{task}-{method}-{seed}-{backend}-{keys}"
    return record("retrieval", key, task, method, seed, **({"retrieval": result} | changes))


def failed(made: Record, reason: str, status: str = "failed") -> Record:
    empty = {"training": None, "retrieval": None, "status": status, "reason": reason}
    return made.model_copy(update=empty)


def planned(made: Record) -> dict[str, Any]:
    """What ``run.json`` says of a cell."""
    cell: dict[str, Any] = {
        "key": made.key,
        "kind": made.kind,
        "task": made.task,
        "method": made.method,
        "seed": made.seed,
    }
    if made.kind == "retrieval":
        _, task, method, seed, backend, keys = made.key.split("-")
        cell |= {"backend": backend, "keys": keys, "values": "soft", "share": 1.0}
        cell |= {"control": "none"}
        cell["needs"] = f"t-{task}-{method}-{seed}"
    return cell


def store(
    folder: Path,
    records: Iterable[Record],
    plan: Sequence[Record] | None = None,
    config: dict[str, Any] | None = None,
) -> Store:
    """A run's folder; ``plan`` is all of ``records`` unless given."""
    made, records = Store(folder), list(records)
    made.create()
    made.write_run(
        {
            "command": "bench run",
            "preset": "glue-minilm",
            "config": config or {},
            "cells": [planned(cell) for cell in (records if plan is None else plan)],
        }
    )
    for one in records:
        made.write(one)
    return made


def matrix(seeds: Sequence[int] = (0, 1, 2)) -> list[Record]:
    """Two tasks, two methods, two backends; scores differ by seed."""
    found = []
    for task in ("mrpc", "stsb"):
        for seed in seeds:
            off = 0.8 + 0.01 * seed**2
            found += [training(task, "kd", seed, off - 0.02), training(task, "reaugkd", seed, off)]
            for number, backend in enumerate(("exact", "hnswlib")):
                gain = 0.01 * (seed + number)
                found.append(
                    retrieval(task, "reaugkd", seed, off, off + gain, off + 0.05, backend=backend)
                )
    return found


def results(folder: Path, records: Iterable[Record], **more: Any) -> Results:
    return load(store(folder, records, **more))


def report(folder: Path, records: Iterable[Record], **more: Any) -> Report:
    return build.of_run(RunInputs(results(folder, records, **more)))


def strict(text: str) -> Any:
    """JSON that refuses NaN and infinities."""

    def refuse(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


Kept = tuple[Record, dict[str, NDArray[Any]]]
"""A record with the arrays beside it."""


def answered(made: Record, answers: ArrayLike, labels: ArrayLike) -> Kept:
    """A finished student or knowledge base that gave ``answers`` [N] on every split.

    Its record says what they score.
    """
    spec, given, wanted = get_task(made.task), np.asarray(answers), np.asarray(labels)
    values = metrics.score(spec.metrics, given, wanted)
    own = dict.fromkeys(("held_out", *spec.tests), values)
    outputs = (
        np.eye(max(2, spec.outputs), dtype=np.float32)[given] if spec.labels else given[:, None]
    )
    if made.training:
        result = made.training.model_copy(update={"scores": own})
        arrays = {
            f"{name}.{s}": a for s in own for name, a in (("logits", outputs), ("labels", wanted))
        }
        return made.model_copy(update={"training": result}), arrays
    assert made.retrieval is not None
    chosen = made.retrieval.chosen.model_copy(update={"scores": own})
    result = made.retrieval.model_copy(update={"chosen": chosen})
    return made.model_copy(update={"retrieval": result}), {f"outputs.{s}": outputs for s in own}


def kept(folder: Path, found: Iterable[Kept], **more: Any) -> Store:
    """A run's folder with what every student answered beside its record."""
    pairs = list(found)
    made = store(folder, [record for record, _ in pairs], **more)
    for record, arrays in pairs:
        made.write(record, arrays)
    return made


def truth(examples: int = 200, classes: int = 2) -> NDArray[np.int64]:
    """Labels [N] of a made-up test split."""
    return np.random.default_rng(7).integers(0, classes, examples)


def guesses(labels: NDArray[np.int64], share: float, seed: int) -> NDArray[np.int64]:
    """Answers [N] that are right with the chance ``share``; more shares, more right answers.

    With one ``seed`` whatever is right at a share is right at every larger one.
    """
    wrong = np.random.default_rng(seed).random(len(labels)) >= share
    return np.where(wrong, 1 - labels, labels)


def contest(
    shares: dict[str, float],
    seeds: Sequence[int] = (0, 1, 2),
    task: str = "mrpc",
    examples: int = 200,
) -> list[Kept]:
    """Students of each method, right as often as ``shares`` says, each seed on other examples."""
    labels = truth(examples)
    return [
        answered(training(task, method, seed), guesses(labels, share, seed), labels)
        for method, share in shares.items()
        for seed in seeds
    ]
