"""Retrieval cells whose sweep is at hand: arrays, chosen setting and scores agree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.records.results import HELD_OUT, Results, load
from bench.records.run import Record
from bench.records.store import Store
from reaugkd.retrieval.sweep import Grid, choose
from tests.bench.report import factory

KS, BETAS, TAUS = (1, 4, 8), (0.0, 0.4, 1.0), (0.1, 0.5, 1.0)
Arrays = dict[str, NDArray[Any]]
Cells = list[tuple[Record, Arrays]]


def arrays(splits: Iterable[str], seed: int, grid: Grid) -> Arrays:
    """Scores with many ties, by split; with beta = 0 they are those of the student alone."""
    random = np.random.default_rng(seed)
    found = {}
    for split in splits:
        values = random.integers(70, 90, grid.shape) / 100
        values[:, :, 0] = values[0, 0, 0]
        found[f"sweep.{split}"] = values
    return found


def cell(
    task: str = "mrpc",
    method: str = "reaugkd",
    seed: int = 0,
    *,
    backend: str = "exact",
    grid: Grid | None = None,
    tables: Mapping[str, NDArray[Any]] | None = None,
) -> tuple[Record, Arrays]:
    """A record and its arrays; the setting is chosen on held-out as ``bench run`` does."""
    grid = grid or Grid(KS, BETAS, TAUS)
    made = factory.retrieval(task, method, seed, backend=backend)
    assert made.retrieval is not None
    splits = (HELD_OUT, *made.tests)
    found = dict(tables or arrays(splits, 1000 * seed + len(backend) + len(method), grid))
    best = choose(found[f"sweep.{HELD_OUT}"], grid)
    at = grid.taus.index(best.tau), grid.ks.index(best.k), grid.betas.index(best.beta)
    on = {split: {made.select_on: float(found[f"sweep.{split}"][at])} for split in splits}
    off = {split: {made.select_on: float(found[f"sweep.{split}"][0, 0, 0])} for split in splits}
    chosen = made.retrieval.chosen.model_copy(
        update={"k": best.k, "beta": best.beta, "tau": best.tau, "scores": on}
    )
    result = made.retrieval.model_copy(
        update={
            "ks": list(grid.ks),
            "betas": list(grid.betas),
            "taus": list(grid.taus),
            "off": off,
            "chosen": chosen,
        }
    )
    return made.model_copy(update={"retrieval": result}), found


def matrix(seeds: Iterable[int] = (0, 1, 2), tasks: Iterable[str] = ("mrpc", "mnli")) -> Cells:
    """Two methods behind two backends on every task."""
    return [
        cell(task, method, seed, backend=backend)
        for task in tasks
        for method in ("reaugkd", "kd")
        for seed in seeds
        for backend in ("exact", "hnswlib")
    ]


def store(folder: Path, cells: Cells) -> Store:
    """The run with its arrays."""
    made = factory.store(folder, [record for record, _ in cells])
    for record, found in cells:
        made.write(record, found)
    return made


def results(folder: Path, cells: Cells) -> Results:
    return load(store(folder, cells))
