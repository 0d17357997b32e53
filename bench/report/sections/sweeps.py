"""Scores at each k, and at each beta and tau, as swept.

Lists have one entry per seed; ``first``: whether the index is the first of the plan.

``k``: a row per method, index, test split and k. ``beta``, ``tau``: chosen on the held-out split
for this ``k``; ``chosen_k``: what the held-out split chose among all, the same for every k;
``off``: the student alone; ``gain``: ``on`` minus ``off`` of the same student; ``held_out``: the
score that ``beta`` and ``tau`` were chosen by.

``beta-tau``: a row per method, index, test split, tau and beta, every seed at its own ``k``, chosen
on the held-out split. ``chosen_by``: how many seeds chose this beta and tau; ``on``: on the test
split. ``line``: tau of the line of the table that shows the row, missing where all taus score the
same and share one, as for a single neighbour; ``starred``: whether held-out chose what the cell
shows, by at least one seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame

from bench.report.charts import settings
from bench.report.frame import Row, rows, typed
from bench.report.inputs import RunInputs
from bench.report.section import INDEX, METHOD, TASK, Column, Section, View
from bench.report.sections.off_on import ONE_SEED
from bench.report.sections.retrieval import place
from bench.report.summary import Summary, each, points
from bench.report.sweeps import Floats, Sweep, by_row, over_seeds

TIE = 1e-12
"""Scores nearer than this are equal, as in :func:`reaugkd.retrieval.sweep.choose`."""

ANY = "any"
"""What stands for all taus where they score the same."""

SEEDS = Column("seeds", lambda row: len(row.seeds))

Lines = Iterator[dict[str, Any]]


def _swept(inputs: RunInputs, lines: Callable[[Sequence[Sweep], Sequence[Sweep]], Lines]) -> Lines:
    """The lines of every method, index and test split, given its held-out and test sweeps."""
    for held_out, test in by_row(inputs.sweeps):
        record, index = test[0].record, test[0].index
        first = index == inputs.results.first_index(record.task, record.method)
        at = place(record, index, test[0].split) | {"first": first}
        seeds = {"seeds": [sweep.record.seed for sweep in test]}
        yield from (at | seeds | line for line in lines(held_out, test))


def _at_each_k(held_out: Sequence[Sweep], test: Sequence[Sweep]) -> Lines:
    grid = test[0].result
    every_k = range(len(grid.ks))
    places = [chosen_for_each_k(sweep.values) for sweep in held_out]
    on, chosen_by = (
        np.array([s.values[t, every_k, b] for s, (t, b) in zip(sweeps, places, strict=True)])
        for sweeps in (test, held_out)
    )
    off = np.array([sweep.off for sweep in test])[:, None]
    (alone,), scored = over_seeds(off), over_seeds(on)
    gains, chosen = over_seeds(on - off), over_seeds(chosen_by)
    for at in every_k:
        yield {
            "k": grid.ks[at],
            "beta": [grid.betas[betas[at]] for _, betas in places],
            "tau": [grid.taus[taus[at]] for taus, _ in places],
            "chosen_k": [sweep.result.chosen.k for sweep in test],
            "off": alone,
            "on": scored[at],
            "gain": gains[at],
            "held_out": chosen[at],
        }


def chosen_for_each_k(values: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where the best tau and beta of every k stand.

    Args:
        values: [taus, ks, betas], settings ascending.

    Returns:
        Their places, [ks] each. Of equally good ones the smallest beta, then the largest tau,
        as :func:`reaugkd.retrieval.sweep.choose` decides.
    """
    taus, ks, _ = values.shape
    preferred = values[::-1].transpose(1, 2, 0).reshape(ks, -1)  # [ks, betas x falling taus]
    first = (preferred >= preferred.max(axis=1, keepdims=True) - TIE).argmax(axis=1)
    return taus - 1 - first % taus, first // taus


def _k_views(frame: DataFrame, _: RunInputs) -> Iterator[View]:
    """The score at each k, a row per method and index."""
    if not len(frame):
        return
    columns = (
        *(TASK, METHOD, INDEX, Column("off", "off", points)),
        *(Column(f"k = {k}", "on", points, at=("k", k)) for k in sorted(frame["k"].unique())),
        Column("chosen k", "chosen_k", each),
        SEEDS,
    )
    one_seed = any(len(row.seeds) == 1 for row in rows(frame))
    notes = (
        "Test split, in points, by the task's selection metric: mean ± sd over seeds. For each k, "
        "beta and tau were chosen on held-out; off is the student alone, which is also what a "
        "choice of beta = 0 gives.",
        "chosen k is the choice of held-out (one value, or one per seed). To take the best k of a "
        "row instead would be a choice on the test split.",
        *((ONE_SEED,) if one_seed else ()),
    )
    yield View("Score at each k", columns, notes, by=("title", "method", "index", "seeds"))


def _at_each_beta_and_tau(_: Sequence[Sweep], test: Sequence[Sweep]) -> Lines:
    grid = test[0].result
    on = np.array([s.values[:, grid.ks.index(s.result.chosen.k)] for s in test])
    scored = [over_seeds(on[:, at]) for at in range(len(grid.taus))]
    choices = [(s.result.chosen.tau, s.result.chosen.beta) for s in test]
    apart = len(grid.taus) == 1 or any(scores != scored[0] for scores in scored)
    for tau, line in zip(grid.taus, scored, strict=True):
        shared = (tau,) if apart else grid.taus
        for beta, score in zip(grid.betas, line, strict=True):
            yield {
                "beta": beta,
                "tau": tau,
                "k": [sweep.result.chosen.k for sweep in test],
                "chosen_by": choices.count((tau, beta)),
                "on": score,
                "line": tau if apart else None,
                "starred": any((scores, beta) in choices for scores in shared),
            }


def _beta_tau_views(frame: DataFrame, _: RunInputs) -> Iterator[View]:
    """What is behind the first index of the plan; the others approximate the same answers."""
    if not len(frame):
        return
    lines = [row for row in rows(frame) if row.first]
    columns = (
        *(TASK, METHOD, INDEX, Column("k", "k", each, label=True)),
        Column("tau", lambda row: ANY if row.line is None else f"{row.line:g}", label=True),
        *(
            Column(f"beta = {beta:g}", _cell, at=("beta", beta))
            for beta in sorted({row.beta for row in lines})
        ),
        SEEDS,
    )
    by = ("title", "method", "index", "seeds", "line")
    notes = tuple(_notes(lines))
    yield View("Score at each beta and tau", columns, notes, lambda row: bool(row.first), by)


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


K = Section(
    "k",
    "k",
    lambda inputs: typed(_swept(inputs, _at_each_k)),
    _k_views,
    pictures=lambda frame, _: settings.by_k(frame),
)
BETA_TAU = Section(
    "beta-tau",
    "beta and tau",
    lambda inputs: typed(_swept(inputs, _at_each_beta_and_tau)),
    _beta_tau_views,
    pictures=lambda frame, _: settings.beta_tau(frame),
)
