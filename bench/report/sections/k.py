"""Score at each k: beta and tau chosen on held-out for every k, scores on the test split.

A row per method, index, test split and k; lists have one entry per seed. ``first``: whether the
index is the first of the plan; ``beta``, ``tau``: chosen on the held-out split for this ``k``;
``chosen_k``: what the held-out split chose among all, the same for every k; ``off``: the student
alone; ``gain``: ``on`` minus ``off`` of the same student; ``held_out``: the score that ``beta`` and
``tau`` were chosen by.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench.report.charts import settings
from bench.report.frame import rows, typed
from bench.report.inputs import RunInputs
from bench.report.section import INDEX, METHOD, TASK, Column, Section, View
from bench.report.sections.off_on import ONE_SEED
from bench.report.sections.retrieval import place
from bench.report.summary import each, points
from bench.report.sweeps import Floats, Sweep, by_row, over_seeds

if TYPE_CHECKING:
    from pandas import DataFrame

TIE = 1e-12
"""Scores nearer than this are equal, as in :func:`reaugkd.retrieval.sweep.choose`."""


def _rows(inputs: RunInputs) -> DataFrame:
    return typed(
        at | row
        for held_out, test in by_row(inputs.sweeps)
        for at in [swept(inputs, test[0])]
        for row in _of(held_out, test)
    )


def swept(inputs: RunInputs, sweep: Sweep) -> dict[str, Any]:
    """The fields that tell what a row of a sweep is of."""
    record = sweep.record
    first = inputs.results.first_index(record.task, record.method)
    return place(record, sweep.index, sweep.split) | {"first": sweep.index == first}


def _of(held_out: Sequence[Sweep], test: Sequence[Sweep]) -> Iterator[dict[str, Any]]:
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
            "seeds": [sweep.record.seed for sweep in test],
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


def _views(frame: DataFrame, _: RunInputs) -> Iterator[View]:
    """The score at each k, a row per method and index."""
    if not len(frame):
        return
    columns = (
        *(TASK, METHOD, INDEX, Column("off", "off", points)),
        *(Column(f"k = {k}", "on", points, at=("k", k)) for k in sorted(frame["k"].unique())),
        Column("chosen k", "chosen_k", each),
        Column("seeds", lambda row: len(row.seeds)),
    )
    notes: tuple[str, ...] = (
        "Test split, in points, by the task's selection metric: mean ± sd over seeds. For each k, "
        "beta and tau were chosen on held-out; off is the student alone, which is also what a "
        "choice of beta = 0 gives.",
        "chosen k is the choice of held-out (one value, or one per seed). To take the best k of a "
        "row instead would be a choice on the test split.",
    )
    if any(len(row.seeds) == 1 for row in rows(frame)):
        notes = (*notes, ONE_SEED)
    yield View("Score at each k", columns, notes, by=("title", "method", "index", "seeds"))


SECTION = Section("k", "k", _rows, _views, pictures=lambda frame, _: settings.by_k(frame))
