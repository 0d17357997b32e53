"""The sweep over k, beta and tau of every student with a knowledge base, as its cell left it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.records.run import Record, RetrievalResult
from bench.records.store import Problem, Store, StoreError
from bench.report.results import HELD_OUT, Results


@dataclass(frozen=True, eq=False)
class Sweep:
    """One student behind one index on one split, by the task's selection metric.

    Attributes:
        title: of the task, with the split where a task has several test splits.
        split: ``held_out`` or a test split.
        ks, betas, taus: what was tried, ascending.
        values: [taus, ks, betas] float64, the score (a share) of every setting.
        chosen: (tau, k, beta) that was chosen on the held-out split.
        off: the score of the student alone.
    """

    task: str
    title: str
    method: str
    index: str
    seed: int
    split: str
    metric: str
    ks: tuple[int, ...]
    betas: tuple[float, ...]
    taus: tuple[float, ...]
    values: NDArray[np.float64]
    chosen: tuple[float, int, float]
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
    found: list[Sweep] = []
    problems: list[Problem] = []
    for (_, _, index), pairs in results.by_index.items():
        for record, result in pairs:
            try:
                splits = (HELD_OUT, *record.tests)
                arrays = store.arrays(record.key, [f"sweep.{split}" for split in splits])
                found += [
                    _sweep(record, result, index, split, arrays.get(f"sweep.{split}"))
                    for split in splits
                ]
            except (StoreError, _UnfitError) as error:
                path = store.cells / f"{record.key}.npz"
                problems.append(Problem(path, str(error).removeprefix(f"{path} is ")))
    return found, problems


class _UnfitError(ValueError):
    """An array is not the sweep that its record speaks of."""


def _sweep(
    record: Record, result: RetrievalResult, index: str, split: str, values: NDArray[Any] | None
) -> Sweep:
    name, shape = f"sweep.{split}", (len(result.taus), len(result.ks), len(result.betas))
    if values is None:
        raise _UnfitError(f"holds no {name}")
    if values.shape != shape or values.dtype.kind != "f":
        raise _UnfitError(
            f"{name} is {values.dtype} {values.shape}, its record says float64 {shape}"
        )
    if not np.isfinite(values).all():
        raise _UnfitError(f"{name} has values that are not numbers")
    chosen = (result.chosen.tau, result.chosen.k, result.chosen.beta)
    off = result.off[split][record.select_on]
    if not math.isfinite(off):
        raise _UnfitError(f"its record says that the student alone scored {off} on {split}")
    tau, k, beta = chosen
    if tau not in result.taus or k not in result.ks or beta not in result.betas:
        raise _UnfitError(f"its record chose (tau, k, beta) = {chosen}, which was not tried")
    return Sweep(
        task=record.task,
        title=record.heading(split),
        method=record.method,
        index=index,
        seed=record.seed,
        split=split,
        metric=record.select_on,
        ks=tuple(result.ks),
        betas=tuple(result.betas),
        taus=tuple(result.taus),
        values=values,
        chosen=chosen,
        off=off,
    )
