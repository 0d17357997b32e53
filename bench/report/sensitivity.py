"""What the score owes to k, to beta and to tau: choices on held-out, scores on the test split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench.report.pairs import ONE_SEED
from bench.report.results import HELD_OUT, Results
from bench.report.summary import Summary, each, points
from bench.report.sweeps import Sweep
from bench.report.table import EMPTY, Table

TIE = 1e-12
"""Scores nearer than this are equal, as in :func:`reaugkd.retrieval.sweep.choose`."""

ANY = "any"
"""What stands for all taus where they score the same."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AtK:
    """One method behind one index at one k; lists have one entry per seed.

    Attributes:
        title: of the task, with the split where a task has several.
        beta, tau: chosen on the held-out split for this k.
        chosen_k: the k that the held-out split chose among all; the same for every k.
        off: of the student alone, on the test split.
        on: on the test split, with this k, ``beta`` and ``tau``.
        gain: ``on`` minus ``off`` of the same student.
        held_out: the score that ``beta`` and ``tau`` were chosen by.
    """

    task: str
    title: str
    split: str
    metric: str
    method: str
    index: str
    k: int
    seeds: list[int]
    beta: list[float]
    tau: list[float]
    chosen_k: list[int]
    off: Summary
    on: Summary
    gain: Summary
    held_out: Summary


@dataclass(frozen=True)
class AtBetaTau:
    """One method behind one index at one beta and tau, every seed at its own chosen k.

    Attributes:
        title: of the task, with the split where a task has several.
        k: chosen on the held-out split, by seed.
        chosen_by: number of seeds whose chosen beta and tau these are.
        on: on the test split.
    """

    task: str
    title: str
    split: str
    metric: str
    method: str
    index: str
    beta: float
    tau: float
    seeds: list[int]
    k: list[int]
    chosen_by: int
    on: Summary


Line = Mapping[float, AtBetaTau]
"""Beta -> the row of one tau."""

Row = TypeVar("Row", AtK, AtBetaTau)


def by_k(found: Iterable[Sweep]) -> list[AtK]:
    """Every k of every (task, method, index, test split), in this order."""
    return [row for held_out, test in _groups(found) for row in _by_k(held_out, test)]


def by_beta_tau(found: Iterable[Sweep]) -> list[AtBetaTau]:
    """Every (beta, tau) at the chosen k of every (task, method, index, test split)."""
    return [row for _, test in _groups(found) for row in _by_beta_tau(test)]


def behind_first(found: Iterable[Row], results: Results) -> list[Row]:
    """The rows behind the first index of the plan; the others approximate the same answers."""
    return [row for row in found if row.index == results.first_index(row.task, row.method)]


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


def _groups(found: Iterable[Sweep]) -> list[tuple[list[Sweep], list[Sweep]]]:
    """Pairs of (held-out, test) sweeps, one per seed each, of one (task, method, index, split).

    Seeds that swept other settings (of a merged run) do not form one row.
    """
    held_out: dict[tuple[Any, ...], Sweep] = {}
    rows: dict[tuple[Any, ...], list[Sweep]] = {}
    for sweep in found:
        at = (sweep.task, sweep.method, sweep.index)
        if sweep.split == HELD_OUT:
            held_out[*at, sweep.seed] = sweep
        else:
            grid = (sweep.ks, sweep.betas, sweep.taus)
            rows.setdefault((*at, sweep.split, *grid), []).append(sweep)
    return [
        ([held_out[one.task, one.method, one.index, one.seed] for one in test], test)
        for test in rows.values()
    ]


def _by_k(held_out: Sequence[Sweep], test: Sequence[Sweep]) -> list[AtK]:
    first, over_ks = test[0], range(len(test[0].ks))
    places = [chosen_for_each_k(sweep.values) for sweep in held_out]
    off = np.array([sweep.off for sweep in test])[:, None]
    on, chosen_on = (
        np.array([s.values[t, over_ks, b] for s, (t, b) in zip(sweeps, places, strict=True)])
        for sweeps in (test, held_out)
    )
    summaries = zip(_over_seeds(on), _over_seeds(on - off), _over_seeds(chosen_on), strict=True)
    return [
        AtK(
            task=first.task,
            title=first.title,
            split=first.split,
            metric=first.metric,
            method=first.method,
            index=first.index,
            k=first.ks[at],
            seeds=[sweep.seed for sweep in test],
            beta=[first.betas[betas[at]] for _, betas in places],
            tau=[first.taus[taus[at]] for taus, _ in places],
            chosen_k=[sweep.chosen[1] for sweep in test],
            off=_over_seeds(off)[0],
            on=scored,
            gain=gain,
            held_out=chosen,
        )
        for at, (scored, gain, chosen) in enumerate(summaries)
    ]


def _by_beta_tau(test: Sequence[Sweep]) -> list[AtBetaTau]:
    first = test[0]
    on = np.array([sweep.values[:, sweep.ks.index(sweep.chosen[1])] for sweep in test])
    settings = [(tau, beta) for tau in first.taus for beta in first.betas]
    choices = [(sweep.chosen[0], sweep.chosen[2]) for sweep in test]
    return [
        AtBetaTau(
            task=first.task,
            title=first.title,
            split=first.split,
            metric=first.metric,
            method=first.method,
            index=first.index,
            beta=beta,
            tau=tau,
            seeds=[sweep.seed for sweep in test],
            k=[sweep.chosen[1] for sweep in test],
            chosen_by=choices.count((tau, beta)),
            on=scored,
        )
        for (tau, beta), scored in zip(
            settings, _over_seeds(on.reshape(len(test), -1)), strict=True
        )
    ]


def _over_seeds(values: Floats) -> list[Summary]:
    """The summary of every column of ``values`` [seeds, n], as ``summarise`` gives it."""
    seeds = len(values)
    known = np.asarray(np.isfinite(values).all(axis=0))
    shown = np.where(known, values, 0.0)
    means = shown.mean(axis=0)
    sds = shown.std(axis=0, ddof=1) if seeds > 1 else means
    return [
        Summary(mean if there else None, sd if there and seeds > 1 else None, seeds)
        for mean, sd, there in zip(means.tolist(), sds.tolist(), known.tolist(), strict=True)
    ]


def k_table(found: Sequence[AtK]) -> Table:
    """The score at each k, a row per method and index."""
    ks = sorted({row.k for row in found})
    lines: dict[tuple[str, ...], dict[int, AtK]] = {}
    for row in found:
        at = (row.title, row.method, row.index, each(row.chosen_k), str(len(row.seeds)))
        lines.setdefault((*at, str(row.seeds)), {})[row.k] = row
    cells = tuple(
        (
            *at[:3],
            points(next(iter(line.values())).off),
            *(points(line[k].on) if k in line else EMPTY for k in ks),
            *at[3:5],
        )
        for at, line in lines.items()
    )
    columns = ("task", "method", "index", "off", *(f"k = {k}" for k in ks), "chosen k", "seeds")
    notes: tuple[str, ...] = (
        "Test split, in points, by the task's selection metric: mean ± sd over seeds. For each k, "
        "beta and tau were chosen on held-out; off is the student alone, which is also what a "
        "choice of beta = 0 gives.",
        "chosen k is the choice of held-out (one value, or one per seed). To take the best k of a "
        "row instead would be a choice on the test split.",
    )
    if any(len(row.seeds) == 1 for row in found):
        notes += (ONE_SEED,)
    return Table("Score at each k", columns, cells, 3, notes)


def beta_tau_table(found: Sequence[AtBetaTau]) -> Table:
    """The score at each beta and tau.

    A row per tau; one row where tau changes nothing, as for a single neighbour.

    Args:
        found: what is shown, see :func:`behind_first`.
    """
    betas = sorted({row.beta for row in found})
    blocks: dict[tuple[str, ...], dict[float, dict[float, AtBetaTau]]] = {}
    for row in found:
        at = (row.title, row.method, row.index, each(row.k), str(row.seeds))
        blocks.setdefault(at, {}).setdefault(row.tau, {})[row.beta] = row
    cells = tuple(
        (*at[:4], tau, *_cells(line, betas), str(len(next(iter(line.values())).seeds)))
        for at, block in blocks.items()
        for tau, line in _told_apart(block)
    )
    labels = ("task", "method", "index", "k", "tau")
    notes: tuple[str, ...] = (
        "Test split, in points, by the task's selection metric: mean over seeds, each at its own "
        "chosen k. beta = 0 is the student alone.",
        "* was chosen on held-out, by at least one seed. The best cell of the test split is not a "
        "result: it shows how much there is to choose wrongly.",
    )
    if not cells:
        notes = ("The first index of the plan has not finished: no rows.",)
    if any(row[4] == ANY for row in cells):
        notes += (f"tau = {ANY}: it changes no score; of a single neighbour it cannot.",)
    columns = (*labels, *(f"beta = {beta:g}" for beta in betas), "seeds")
    return Table("Score at each beta and tau", columns, cells, len(labels), notes)


def _told_apart(block: Mapping[float, Line]) -> list[tuple[str, Line]]:
    """The rows of a block by tau; one of all if they score the same, with the choices of all."""
    lines = list(block.values())
    first = {beta: row.on for beta, row in lines[0].items()}
    if len(lines) == 1 or any({b: row.on for b, row in line.items()} != first for line in lines):
        return [(f"{tau:g}", line) for tau, line in block.items()]
    chosen = {beta: sum(line[beta].chosen_by for line in lines) for beta in first}
    return [(ANY, {b: replace(row, chosen_by=chosen[b]) for b, row in lines[0].items()})]


def _cells(line: Line, betas: Iterable[float]) -> list[str]:
    return [_cell(line[beta]) if beta in line else EMPTY for beta in betas]


def _cell(row: AtBetaTau) -> str:
    mean = points(Summary(row.on.mean, None, row.on.n))
    return f"{mean} *" if row.chosen_by else mean
