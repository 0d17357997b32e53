"""The plan of a run: every cell, checked before anything expensive begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from baselines import METHODS
from bench.cell import SCHEMA, Cell, Workbench
from bench.config import RunConfig
from bench.pipeline import TaskPipeline
from bench.retrieval import Base, Retrieval
from reaugkd import fingerprint
from reaugkd.retrieval import ann
from reaugkd.retrieval.sweep import Grid


@dataclass(frozen=True)
class Planned:
    """A cell, and why it cannot run if it cannot."""

    cell: Cell
    skip: str | None = None


def make(configs: Mapping[str, RunConfig], workbench: Workbench) -> list[Planned]:
    """All cells of a run, each training cell before the retrieval cells that stand on it.

    Reads every task's rows and both tokenizers, builds both models untrained and looks for every
    library, so that a mistake shows now and not after hours of training.

    Args:
        configs: task -> the configuration resolved for it.
        workbench: whose pipelines read the rows, and later run the cells.

    Raises:
        UserError: the first mistake.
    """
    planned: list[Planned] = []
    for own in configs.values():
        specs = list(dict.fromkeys(ann.canonical(spec) for spec in own.retrieval.ann))
        for spec in specs:
            ann.make(spec)
        pipeline = workbench.pipeline(own)
        _check(pipeline, own)
        for method in own.methods:
            reason = METHODS[method]().unsupported(pipeline.task)
            for seed in own.seeds:
                training = _training(pipeline, own, method, seed)
                planned.append(Planned(training, reason))
                if METHODS[method].retrieves:
                    planned += [
                        Planned(cell, reason)
                        for cell in _retrievals(pipeline, own, training, specs)
                    ]
    return planned


def _check(pipeline: TaskPipeline, config: RunConfig) -> None:
    rows, _ = len(pipeline.rows.data.fit), pipeline.rows.tokenizer
    pipeline.check_models(taught=any(METHODS[method].needs for method in config.methods))
    if any(METHODS[method].retrieves for method in config.methods):
        Grid(config.retrieval.k, config.retrieval.beta, config.retrieval.tau).require(rows)


def _cell(kind: Any, identity: dict[str, Any], config: RunConfig, **names: Any) -> Cell:
    identity = {"kind": kind, "schema": SCHEMA, **identity}
    return Cell(
        kind=kind,
        key=fingerprint.of_json(identity),
        identity=identity,
        config=config,
        task=config.tasks[0],
        **names,
    )


def _training(pipeline: TaskPipeline, config: RunConfig, method: str, seed: int) -> Cell:
    identity = pipeline.student_identity(method, seed)
    return _cell("training", identity, config, method=method, seed=seed)


def _retrievals(
    pipeline: TaskPipeline, config: RunConfig, training: Cell, specs: list[str]
) -> Iterator[Cell]:
    wanted = config.retrieval
    grid = Grid(wanted.k, wanted.beta, wanted.tau)
    for keys in wanted.keys:
        for values in wanted.values:
            base = Base(training.method, training.seed, keys, values)
            for spec in specs:
                identity = {
                    "student": training.identity,
                    "base": Retrieval(pipeline, base, grid, wanted.recall_target).identity,
                    "backend": spec,
                    "k": list(wanted.k),
                    "beta": list(wanted.beta),
                    "tau": list(wanted.tau),
                    "recall_target": wanted.recall_target,
                }
                yield _cell(
                    "retrieval",
                    identity,
                    config,
                    method=training.method,
                    seed=training.seed,
                    backend=spec,
                    keys=keys,
                    values=values,
                    needs=training.key,
                )
