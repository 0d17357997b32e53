"""Training curves: every term of the loss and the selection metric, epoch by epoch.

A row per task, method, term and epoch of students that left a history. ``term``: the selection
metric (on held-out, a share), or ``loss/...``, as it is before its weight; ``value``: over the
seeds that went on so long; ``last``: how many epochs each of the method's students went.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.report.charts import settings
from bench.report.frame import typed
from bench.report.inputs import RunInputs
from bench.report.section import Section
from bench.report.summary import summarise

if TYPE_CHECKING:
    from pandas import DataFrame

LOSS = "loss/"


def _rows(inputs: RunInputs) -> DataFrame:
    """Tasks and methods in the order of the plan, the metric before the terms of the loss."""
    students = [(r, one.history) for r, one in inputs.results.trained if one.history]
    records = {(r.task, r.method): r for r, _ in reversed(students)}
    values: dict[tuple[str, str, str, float], list[float]] = {}
    for record, history in students:
        for epoch in history:
            for term, value in epoch.items():
                if term == record.select_on or term.startswith(LOSS):
                    at = (record.task, record.method, term, epoch["epoch"])
                    values.setdefault(at, []).append(value)
    tasks = list(dict.fromkeys(r.task for r, _ in students))
    methods = list(dict.fromkeys((r.task, r.method) for r, _ in students))
    terms = list(dict.fromkeys(term for _, _, term, _ in values))
    ordered = sorted(
        values,
        key=lambda at: (
            tasks.index(at[0]),
            at[2].startswith(LOSS),
            terms.index(at[2]),
            methods.index((at[0], at[1])),
            at[3],
        ),
    )
    return typed(
        {
            "task": task,
            "title": records[task, method].title,
            "method": method,
            "term": term,
            "selects": not term.startswith(LOSS),
            "epoch": epoch,
            "value": summarise(values[task, method, term, epoch]),
            "last": [len(h) for r, h in students if (r.task, r.method) == (task, method)],
        }
        for task, method, term, epoch in ordered
    )


SECTION = Section(
    "curves", "Training curves", _rows, pictures=lambda frame, _: settings.curves(frame)
)
