"""What decides the result of a cell: plain JSON whose fingerprint is the cell's key."""

from __future__ import annotations

from typing import Any

from bench.pipeline.knowledge_base import Base
from bench.pipeline.retrieval import Retrieval
from bench.pipeline.student import TaskPipeline
from reaugkd.artifacts.store import SCHEMA
from reaugkd.retrieval.sweep import Grid


def of_training(pipeline: TaskPipeline, method: str, seed: int) -> dict[str, Any]:
    """Everything that decides the result of a training cell."""
    return {"kind": "training", "schema": SCHEMA, **pipeline.student_identity(method, seed)}


def of_retrieval(pipeline: TaskPipeline, base: Base, backend: str) -> dict[str, Any]:
    """Everything that decides the result of a retrieval cell."""
    wanted = pipeline.config.retrieval
    grid = Grid(wanted.k, wanted.beta, wanted.tau)
    return {
        "kind": "retrieval",
        "schema": SCHEMA,
        "student": of_training(pipeline, base.method, base.seed),
        "base": Retrieval(pipeline, base, grid, wanted.recall_target).identity,
        "backend": backend,
        "k": list(wanted.k),
        "beta": list(wanted.beta),
        "tau": list(wanted.tau),
        "recall_target": wanted.recall_target,
    }


def of_control(pipeline: TaskPipeline, method: str, seed: int) -> dict[str, Any]:
    """Everything that decides the result of a student's controls."""
    return {
        "kind": "control",
        "schema": SCHEMA,
        "student": of_training(pipeline, method, seed),
        "signals": pipeline.teacher.signals_identity,
        "beta": list(pipeline.config.retrieval.beta),
    }
