"""What decides the result of a cell: plain JSON whose fingerprint is the cell's key."""

from __future__ import annotations

from typing import Any

from bench.pipeline.base import BaseBuilder
from bench.pipeline.student import TaskPipeline
from bench.records.base import NEVER, Base
from bench.records.planned import Kind
from reaugkd.artifacts.store import SCHEMA


def of(
    pipeline: TaskPipeline,
    kind: Kind,
    method: str,
    seed: int,
    base: Base | None = None,
    backend: str | None = None,
    skip_rule: str = NEVER,
) -> dict[str, Any]:
    """Everything that decides a cell of a student; from ``base`` on all is of a retrieval."""
    student = {"kind": "training", "schema": SCHEMA, **pipeline.student_identity(method, seed)}
    if kind == "training":
        return student
    identity = {"kind": kind, "schema": SCHEMA, "student": student}
    wanted = pipeline.config.retrieval
    if base is None:
        signals = pipeline.teacher.signals_identity
        return {**identity, "signals": signals, "beta": list(wanted.beta)}
    return {
        **identity,
        "base": BaseBuilder(pipeline, base).identity,
        "backend": backend,
        "k": list(wanted.k),
        "beta": list(wanted.beta),
        "tau": list(wanted.tau),
        "recall_target": wanted.recall_target,
        **({"count_weight": True} if base.count_weight else {}),
        **({"skip": skip_rule} if skip_rule != NEVER else {}),
    }
