"""The pictures of a run, by the section that they belong to."""

from __future__ import annotations

from collections.abc import Sequence

from bench.report.figure import Figure
from bench.report.figures.ablation import accuracy_by_k
from bench.report.figures.curves import curves
from bench.report.figures.recall import recall_by_search
from bench.report.figures.seeds import seed_scatter
from bench.report.figures.tradeoff import accuracy_by_memory, accuracy_by_time
from bench.report.frame import Row
from bench.report.results import Results


def pictures(
    results: Results,
    *,
    scores: Sequence[Row],
    effects: Sequence[Row],
    costs: Sequence[Row],
    ks: Sequence[Row],
) -> dict[str, tuple[Figure, ...]]:
    """Name of a section -> its pictures; what has nothing to show is left out."""
    found: dict[str, list[Figure | None]] = {
        "scores": [seed_scatter(results)],
        "ann": [
            recall_by_search(effects, costs),
            accuracy_by_time(effects, costs, scores),
            accuracy_by_memory(effects, costs, scores),
        ],
        "k": [
            accuracy_by_k([row for row in ks if row.first]),
        ],
        "curves": [*curves(results)],
    }
    there = {name: tuple(one for one in some if one) for name, some in found.items()}
    return {name: some for name, some in there.items() if some}
