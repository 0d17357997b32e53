"""Sweeps over k, beta and tau of every student with a knowledge base, as cells left them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.records.results import HELD_OUT, Results
from bench.records.run import Record, RetrievalResult
from bench.records.store import Problem, Store, StoreError
from bench.report.summary import Summary

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sweep:
    """One student behind one index on one split, by the task's selection metric.

    Attributes:
        split: ``held_out`` or a test split.
        values: [taus, ks, betas] float64, the score (a share) of every setting of ``result``.
        off: the score of the student alone.
    """

    record: Record
    result: RetrievalResult
    index: str
    split: str
    values: Floats
    off: float


def sweeps(results: Results) -> tuple[list[Sweep], list[Problem]]:
    """The sweeps of all reference knowledge bases, and the files that do not hold theirs.

    Returns:
        For every (task, method, index) in the order of the plan and every seed in order: the
        held-out split, then the test splits. A cell gives all of its splits or, with the reason
        among the problems, none. A run that was copied without any arrays has no problems.
    """
    store = Store(results.folder)
    if next(store.cells.glob("*.npz"), None) is None:
        return [], []
    read: list[Sweep] = []
    problems: list[Problem] = []
    for (_, _, index), pairs in results.by_index.items():
        for record, result in pairs:
            path, splits = store.cells / f"{record.key}.npz", (HELD_OUT, *record.tests)
            try:
                arrays = store.arrays(record.key, [f"sweep.{split}" for split in splits])
            except StoreError as error:
                problems.append(Problem(path, str(error).removeprefix(f"{path} is ")))
                continue
            tables = {split: arrays.get(f"sweep.{split}") for split in splits}
            unfit = (_unfit(record, result, split, values) for split, values in tables.items())
            if reason := next(filter(None, unfit), None):
                problems.append(Problem(path, reason))
                continue
            read += [
                Sweep(record, result, index, split, values, result.off[split][record.select_on])
                for split, values in tables.items()
                if values is not None
            ]
    return read, problems


def _unfit(
    record: Record, result: RetrievalResult, split: str, values: NDArray[Any] | None
) -> str | None:
    """Why an array is not the sweep that its record speaks of."""
    name, shape = f"sweep.{split}", (len(result.taus), len(result.ks), len(result.betas))
    off, choice = result.off[split][record.select_on], result.chosen
    tau, k, beta = choice.tau, choice.k, choice.beta
    if values is None:
        return f"holds no {name}"
    if values.shape != shape or values.dtype.kind != "f":
        return f"{name} is {values.dtype} {values.shape}, its record says float64 {shape}"
    if not np.isfinite(values).all():
        return f"{name} has values that are not numbers"
    if not math.isfinite(off):
        return f"its record says that the student alone scored {off} on {split}"
    if tau not in result.taus or k not in result.ks or beta not in result.betas:
        return f"its record chose (tau, k, beta) = {(tau, k, beta)}, which was not tried"
    return None


def by_row(read: Iterable[Sweep]) -> list[tuple[list[Sweep], list[Sweep]]]:
    """Pairs of (held-out, test) sweeps, one per seed each, of one (task, method, index, split).

    Seeds that swept other settings (of a merged run) do not form one row.
    """
    held_out: dict[str, Sweep] = {}
    groups: dict[Any, list[Sweep]] = {}
    for sweep in read:
        record, result = sweep.record, sweep.result
        if sweep.split == HELD_OUT:
            held_out[record.key] = sweep
        else:
            grid = (*result.ks, None, *result.betas, None, *result.taus)
            at = (record.task, record.method, sweep.index, sweep.split, grid)
            groups.setdefault(at, []).append(sweep)
    return [([held_out[sweep.record.key] for sweep in test], test) for test in groups.values()]


def over_seeds(values: Floats) -> list[Summary]:
    """The summary of every column of ``values`` [seeds, n], as ``summarise`` gives it."""
    seeds, means = len(values), values.mean(axis=0).tolist()
    sds = values.std(axis=0, ddof=1).tolist() if seeds > 1 else [None] * len(means)
    return [Summary(mean, sd, seeds) for mean, sd in zip(means, sds, strict=True)]
