"""Selection bias: what choosing k, beta and tau on a test split would add to a method's scores.

A row per method, behind ``index``, the first of the plan (several where tasks differ). ``tasks``:
those with a known score, each counts once; ``seeds``: how many a task has; ``mean``: over tasks,
of the means over seeds; ``sd``: over seeds, of the mean over tasks, missing unless every task has
the same two or more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from bench.report.frame import rows, typed
from bench.report.inputs import RunInputs
from bench.report.section import INDEX, METHOD, Column, Section, View
from bench.report.sections.off_on import counts
from bench.report.sections.retrieval import bias, signed
from bench.report.summary import Summary

if TYPE_CHECKING:
    from pandas import DataFrame


def _rows(inputs: RunInputs) -> DataFrame:
    from pandas import DataFrame

    results, known = inputs.results, []
    for (task, method, index), pairs in results.by_index.items():
        biases = {record.seed: bias(record, result) for record, result in pairs}
        if index == results.first_index(task, method) and all(map(math.isfinite, biases.values())):
            known += [(method, task, index, seed, one) for seed, one in biases.items()]
    of_tasks = DataFrame(known, columns=["method", "task", "index", "seed", "bias"])
    return typed(_row(str(name), own) for name, own in of_tasks.groupby("method", sort=False))


def _row(method: str, known: DataFrame) -> dict[str, Any]:
    table = known.pivot_table("bias", "seed", "task", sort=False)
    same_seeds = len(table) > 1 and table.notna().all(axis=None)
    return {
        "method": method,
        "index": "; ".join(known["index"].unique()),
        "tasks": [*table],
        "seeds": sorted(set(table.count())),
        "mean": table.mean().mean(),
        "sd": table.mean(axis=1).std() if same_seeds else None,
    }


COLUMNS = (
    METHOD,
    INDEX,
    Column("bias", lambda row: Summary(row.mean, row.sd, max(row.seeds)), signed),
    Column("tasks", lambda row: len(row.tasks)),
    Column("n", "seeds", counts),
)


def _views(frame: DataFrame, _: RunInputs) -> Iterator[View]:
    if not len(frame):
        return
    note = (
        "What choosing k, beta and tau on the test split instead of held-out would add to the "
        "score, in points, behind the first index of the plan: the mean over tasks of the mean "
        "over seeds, ± the sd over seeds of the mean over tasks. The scores of this report are "
        "without it; papers that choose on dev are with it."
    )
    without = any(row.sd is None for row in rows(frame))
    notes = (note, "No sd: one seed, or tasks with different seeds.") if without else (note,)
    yield View("Selection bias", COLUMNS, notes)


SECTION = Section("selection-bias", "Selection bias", _rows, _views, under="comparisons")
