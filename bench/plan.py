"""The plan of a run: every cell, checked before anything expensive begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.cell import Cell, Workbench, retrieval_identity, training_identity
from bench.config import RunConfig
from bench.pipeline import TaskPipeline
from bench.retrieval import Base
from reaugkd import fingerprint
from reaugkd.errors import UserError
from reaugkd.retrieval import ann
from reaugkd.retrieval.sweep import Grid
from reaugkd.tasks import get_task


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
    folders = {own.data.dir for own in configs.values()} - {None}
    if folders and all(get_task(task).suite == "mini" for task in configs):
        raise UserError(
            f"data.dir {folders.pop()} is for GLUE, but the tasks are {', '.join(configs)}, which "
            "are generated: name a GLUE preset, e.g. --preset glue-minilm"
        )
    planned: list[Planned] = []
    for own in configs.values():
        specs = list(dict.fromkeys(ann.canonical(spec) for spec in own.retrieval.ann))
        for spec in specs:
            ann.make(spec)
        pipeline = workbench.pipeline(own)
        _check(pipeline, own, specs)
        for method in own.methods:
            reason = pipeline.unsupported(method)
            for seed in own.seeds:
                identity = training_identity(pipeline, method, seed)
                training = _cell(identity, own, method=method, seed=seed)
                planned.append(Planned(training, reason))
                if pipeline.kind(method).retrieves:
                    planned += [
                        Planned(cell, reason)
                        for cell in _retrievals(pipeline, own, training, specs)
                    ]
    return planned


def _check(pipeline: TaskPipeline, config: RunConfig, specs: list[str]) -> None:
    rows, _ = len(pipeline.rows.data.fit), pipeline.rows.tokenizer
    widths = pipeline.check_models(taught=any(pipeline.kind(m).needs for m in config.methods))
    if not any(pipeline.kind(method).retrieves for method in config.methods):
        return
    Grid(config.retrieval.k, config.retrieval.beta, config.retrieval.tau).require(rows)
    for spec in specs:
        ann.make(spec).check(widths["student"])
    if "teacher" in config.retrieval.keys and len(set(widths.values())) > 1:
        raise UserError(
            f"keys 'teacher': the teacher's embedding has {widths['teacher']} dimensions, the "
            f"student's {widths['student']}: use keys 'projected' or 'student'"
        )


def _cell(identity: dict[str, Any], config: RunConfig, **names: Any) -> Cell:
    key, task = fingerprint.of_json(identity), config.tasks[0]
    return Cell(
        kind=identity["kind"], key=key, identity=identity, config=config, task=task, **names
    )


def _retrievals(
    pipeline: TaskPipeline, config: RunConfig, training: Cell, specs: list[str]
) -> Iterator[Cell]:
    names = {"method": training.method, "seed": training.seed, "needs": training.key}
    for keys in config.retrieval.keys:
        for values in config.retrieval.values:
            base = Base(training.method, training.seed, keys, values)
            for spec in specs:
                identity = retrieval_identity(pipeline, training.identity, base, spec)
                yield _cell(identity, config, backend=spec, keys=keys, values=values, **names)
