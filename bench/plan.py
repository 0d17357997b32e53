"""The plan of a run: every cell, checked before anything expensive begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bench.cell import Cell, Workbench
from bench.config import RunConfig
from bench.pipeline import identity as identities
from bench.pipeline import knowledge_base as base
from bench.pipeline.student import TaskPipeline
from reaugkd.artifacts import fingerprint
from reaugkd.errors import UserError
from reaugkd.retrieval import ann
from reaugkd.tasks import get_task


@dataclass(frozen=True)
class Planned:
    """A cell, and why it cannot run if it cannot."""

    cell: Cell
    skip: str | None = None


def make(configs: Mapping[str, RunConfig], workbench: Workbench) -> list[Planned]:
    """All cells of a run, each training cell before the cells that stand on it.

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
        widths = _check(pipeline, own, specs)
        for method in own.methods:
            reason = pipeline.unsupported(method)
            for seed in own.seeds:
                identity = identities.of_training(pipeline, method, seed)
                training = _cell(identity, own, method=method, seed=seed)
                planned.append(Planned(training, reason))
                if pipeline.queries(method):
                    found = _retrievals(pipeline, own, training, specs, widths, workbench)
                    planned += [Planned(p.cell, reason or p.skip) for p in found]
                    if own.retrieval.controls:
                        identity = identities.of_control(pipeline, method, seed)
                        names = {"method": method, "seed": seed, "needs": training.key}
                        planned.append(Planned(_cell(identity, own, **names), reason))
    _distinct(planned)
    return planned


def _distinct(planned: list[Planned]) -> None:
    """Raise UserError if two names stand for the very same cell."""
    labels: dict[str, str] = {}
    for cell in (p.cell for p in planned):
        if cell.key in labels:
            raise UserError(
                f"'{labels[cell.key]}' and '{cell.label}' are the same: give the variant settings "
                "of its own, or leave one out"
            )
        labels[cell.key] = cell.label


def _check(pipeline: TaskPipeline, config: RunConfig, specs: list[str]) -> dict[str, int]:
    """Raise the first mistake; the widths of the embeddings."""
    rows, _ = len(pipeline.rows.data.fit), pipeline.rows.tokenizer
    querying = [method for method in config.methods if pipeline.queries(method)]
    taught = any(pipeline.needs(method) for method in config.methods)
    widths = pipeline.check_models(taught=taught or bool(querying))
    if querying:
        for spec in specs:
            ann.make(spec).check(widths["student"])
        reference, _ = base.wanted(config.retrieval, specs, querying[0], config.seeds[0])[0]
        reason = base.impossible(reference, max(config.retrieval.k), rows, widths)
        if reason:
            raise UserError(reason)
        if "cross-fitted" in config.retrieval.values and config.retrieval.folds > rows:
            raise UserError(
                f"retrieval.folds is {config.retrieval.folds}, but there are {rows} rows to divide"
            )
    return widths


def _cell(identity: dict[str, Any], config: RunConfig, **names: Any) -> Cell:
    key, task = fingerprint.of_json(identity), config.tasks[0]
    return Cell(
        kind=identity["kind"], key=key, identity=identity, config=config, task=task, **names
    )


def _retrievals(
    pipeline: TaskPipeline,
    config: RunConfig,
    training: Cell,
    specs: list[str],
    widths: Mapping[str, int],
    workbench: Workbench,
) -> Iterator[Planned]:
    rows, k = len(pipeline.rows.data.fit), max(config.retrieval.k)
    keys = set()
    for one, asked in base.wanted(config.retrieval, specs, training.method, training.seed):
        # A cell is of a backend that is named: the same one on whatever machine it is run.
        spec = workbench.resolved(asked, one.entries(rows), widths["student"])
        identity = identities.of_retrieval(pipeline, one, spec)
        names = {"backend": spec, "asked": asked if asked != spec else None, "needs": training.key}
        cell = _cell(identity, config, **names, **asdict(one))
        if cell.key not in keys:  # auto may stand for another of the backends
            keys.add(cell.key)
            yield Planned(cell, base.impossible(one, k, rows, widths))
