"""The plan of a run: every cell, checked before anything expensive begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from bench.cell import Cell
from bench.config import RunConfig
from bench.pipeline import identity as identities
from bench.pipeline import starts
from bench.pipeline.knowledge_base import impossible, wanted
from bench.pipeline.student import TaskPipeline
from bench.pipeline.workbench import Workbench
from bench.records.base import Base
from reaugkd.errors import UserError
from reaugkd.retrieval import ann


def make(configs: Mapping[str, RunConfig], workbench: Workbench) -> list[Cell]:
    """All cells of a run, each training cell before the cells that stand on it.

    Reads every task's rows and both tokenizers, builds both models untrained and looks for every
    library, so that a mistake shows now and not after hours of training.

    Args:
        configs: task -> the configuration resolved for it.
        workbench: whose pipelines read the rows, and later run the cells.

    Raises:
        UserError: the first mistake.
    """
    cells: list[Cell] = []
    for config in map(starts.explicit, configs.values()):
        specs = list(dict.fromkeys(ann.canonical(spec) for spec in config.retrieval.ann))
        pipeline = workbench.pipeline(config)
        widths = _check(pipeline, config, specs)
        for method in config.methods:
            reason = pipeline.unsupported(method)
            for seed in config.seeds:
                identity = identities.of(pipeline, "training", method, seed)
                student = Cell.of(identity, config, method=method, seed=seed, skip=reason)
                cells.append(student)
                if pipeline.queries(method):
                    cells += _retrievals(pipeline, student, specs, widths, workbench)
                    if config.retrieval.controls:
                        names = {"method": method, "seed": seed, "needs": student.key}
                        identity = identities.of(pipeline, "control", method, seed)
                        cells.append(Cell.of(identity, config, skip=reason, **names))
    labels: dict[str, str] = {}
    for cell in cells:
        if (label := labels.setdefault(cell.key, cell.label)) != cell.label:
            raise UserError(
                f"'{label}' and '{cell.label}' are the same: give the variant settings of its own, "
                "or leave one out"
            )
    return cells


def _check(pipeline: TaskPipeline, config: RunConfig, specs: list[str]) -> dict[str, int]:
    """Raise the first mistake; the widths of the embeddings."""
    rows, _ = len(pipeline.rows.data.fit), pipeline.rows.student
    querying = [method for method in config.methods if pipeline.queries(method)]
    taught = any(pipeline.needs(method) for method in config.methods)
    widths = pipeline.check_models(taught=taught or bool(querying))
    if querying:
        for spec in specs:
            if ann.refused_here(spec) is None:
                ann.make(spec).check(widths["student"])
        first = querying[0], config.seeds[0]
        reference, _ = _bases(pipeline, specs, *first)[0]
        if reason := _impossible(pipeline, reference, widths):
            raise UserError(reason)
        if "cross-fitted" in config.retrieval.values and config.retrieval.folds > rows:
            raise UserError(
                f"retrieval.folds is {config.retrieval.folds}, but there are {rows} rows to divide"
            )
    return widths


def _retrievals(
    pipeline: TaskPipeline,
    student: Cell,
    specs: list[str],
    widths: Mapping[str, int],
    workbench: Workbench,
) -> Iterator[Cell]:
    config, rows = student.config, len(pipeline.rows.data.fit)
    keys = set()
    for base, asked in _bases(pipeline, specs, student.method, student.seed):
        # A cell is of a backend that is named: the same one on whatever machine it is run.
        spec = workbench.resolved(asked, base.entries(rows), widths["student"])
        cell = Cell.of(
            identities.of(pipeline, "retrieval", base.method, base.seed, base, spec),
            config,
            backend=spec,
            asked=asked if asked != spec else None,
            needs=student.key,
            skip=student.skip or _impossible(pipeline, base, widths) or ann.refused_here(spec),
            **asdict(base),
        )
        if cell.key not in keys:  # auto may stand for another of the backends
            keys.add(cell.key)
            yield cell


def _bases(
    pipeline: TaskPipeline, specs: list[str], method: str, seed: int
) -> list[tuple[Base, str]]:
    embeds = pipeline.teacher.embeds
    return wanted(pipeline.config.retrieval, specs, method, seed, embeds=embeds)


def _impossible(pipeline: TaskPipeline, base: Base, widths: Mapping[str, int]) -> str | None:
    largest, rows = max(pipeline.config.retrieval.k), len(pipeline.rows.data.fit)
    return impossible(base, largest, rows, widths, trains=pipeline.teacher.trains)
