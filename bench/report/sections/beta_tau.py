"""Score at each beta and tau, every seed at its own chosen k.

A row per method, index, test split, tau and beta; lists have one entry per seed. ``first``: whether
the index is the first of the plan; ``k``: chosen on the held-out split; ``chosen_by``: how many
seeds chose this beta and tau; ``on``: on the test split. ``line``: tau of the line of the table
that shows the row, missing where all taus score the same and share one, as for a single neighbour;
``starred``: whether held-out chose what the cell shows, by at least one seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.report.charts import settings
from bench.report.frame import Row, rows, typed
from bench.report.inputs import RunInputs
from bench.report.section import INDEX, METHOD, TASK, Column, Section, View
from bench.report.sections.k import swept
from bench.report.summary import Summary, each, points
from bench.report.sweeps import Sweep, by_row, over_seeds

if TYPE_CHECKING:
    from pandas import DataFrame

ANY = "any"
"""What stands for all taus where they score the same."""


def _rows(inputs: RunInputs) -> DataFrame:
    return typed(
        at | row
        for _, test in by_row(inputs.sweeps)
        for at in [swept(inputs, test[0])]
        for row in _of(test)
    )


def _of(test: Sequence[Sweep]) -> Iterator[dict[str, Any]]:
    grid = test[0].result
    on = np.array([s.values[:, grid.ks.index(s.result.chosen.k)] for s in test])
    scored = [over_seeds(on[:, at]) for at in range(len(grid.taus))]
    choices = [(s.result.chosen.tau, s.result.chosen.beta) for s in test]
    apart = len(grid.taus) == 1 or any(one != scored[0] for one in scored)
    for tau, line in zip(grid.taus, scored, strict=True):
        shared = (tau,) if apart else grid.taus
        for beta, score in zip(grid.betas, line, strict=True):
            yield {
                "beta": beta,
                "tau": tau,
                "seeds": [sweep.record.seed for sweep in test],
                "k": [sweep.result.chosen.k for sweep in test],
                "chosen_by": choices.count((tau, beta)),
                "on": score,
                "line": tau if apart else None,
                "starred": any((one, beta) in choices for one in shared),
            }


def _views(frame: DataFrame, _: RunInputs) -> Iterator[View]:
    """What is behind the first index of the plan; the others approximate the same answers."""
    if not len(frame):
        return
    lines = [row for row in rows(frame) if row.first]
    betas = sorted({row.beta for row in lines})
    columns = (
        *(TASK, METHOD, INDEX, Column("k", "k", each, label=True)),
        Column("tau", lambda row: ANY if row.line is None else f"{row.line:g}", label=True),
        *(Column(f"beta = {beta:g}", _cell, at=("beta", beta)) for beta in betas),
        Column("seeds", lambda row: len(row.seeds)),
    )
    by = ("title", "method", "index", "seeds", "line")
    yield View(
        "Score at each beta and tau", columns, tuple(_notes(lines)), lambda row: bool(row.first), by
    )


def _cell(row: Row) -> str:
    mean = points(Summary(row.on.mean, None, row.on.n))
    return f"{mean} *" if row.starred else mean


def _notes(lines: Sequence[Row]) -> Iterator[str]:
    if not lines:
        yield "The first index of the plan has not finished: no rows."
        return
    yield (
        "Test split, in points, by the task's selection metric: mean over seeds, each at its own "
        "chosen k. beta = 0 is the student alone."
    )
    yield (
        "* was chosen on held-out, by at least one seed. The best cell of the test split is not a "
        "result: it shows how much there is to choose wrongly."
    )
    if any(row.line is None for row in lines):
        yield f"tau = {ANY}: it changes no score; of a single neighbour it cannot."


SECTION = Section(
    "beta-tau", "beta and tau", _rows, _views, pictures=lambda frame, _: settings.beta_tau(frame)
)
