"""The plan of a run: every cell, checked before anything expensive begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from bench.cell import Cell
from bench.config import RunConfig
from bench.pipeline import identity as identities
from bench.pipeline import starts
from bench.pipeline.knowledge_base import BaseConditions, Wanted, impossible, wanted
from bench.pipeline.student import TaskPipeline
from bench.pipeline.workbench import Workbench
from bench.records.base import NONE
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
        bases = _bases(pipeline, specs, querying[0], config.seeds[0])
        if reason := impossible(bases[0], _conditions(pipeline, widths)):
            raise UserError(reason)
        for at, (base, spec, _) in enumerate(bases):
            if (at == 0 or base.pca == NONE) and ann.refused_here(spec) is None:
                ann.make(spec).check(base.width(widths["student"]))
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
    given, keys = _conditions(pipeline, widths), set()
    for point in _bases(pipeline, specs, student.method, student.seed):
        base, asked, rule = point
        # A cell is of a backend that is named: the same one on whatever machine it is run.
        width = base.width(widths["student"])
        spec = workbench.resolved(asked, base.entries(given.rows), width)
        cell = Cell.of(
            identities.of(pipeline, "retrieval", base.method, base.seed, base, spec, rule),
            student.config,
            backend=spec,
            asked=asked if asked != spec else None,
            skip_rule=rule,
            needs=student.key,
            skip=student.skip or impossible(point, given) or _refused(spec, width),
            **asdict(base),
        )
        if cell.key not in keys:  # auto may stand for another of the backends
            keys.add(cell.key)
            yield cell


def _bases(pipeline: TaskPipeline, specs: list[str], method: str, seed: int) -> list[Wanted]:
    embeds, rows = pipeline.teacher.embeds, len(pipeline.rows.data.fit)
    return wanted(pipeline.config.retrieval, specs, method, seed, rows, embeds=embeds)


def _conditions(pipeline: TaskPipeline, widths: Mapping[str, int]) -> BaseConditions:
    rows, task = len(pipeline.rows.data.fit), pipeline.task
    trains = pipeline.teacher.trains
    return BaseConditions(pipeline.config.retrieval.k, rows, task.outputs, widths, trains)


def _refused(spec: str, width: int) -> str | None:
    """Why there can be no index of ``spec`` here, or none over keys of such a ``width``."""
    reason = ann.refused_here(spec)
    try:
        if reason is None:
            ann.make(spec).check(width)
    except UserError as error:
        return str(error)
    return reason
