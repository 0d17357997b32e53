"""Knowledge bases that are cheaper than the whole one of the same students, and that one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, median
from typing import NamedTuple

from bench.records.base import NEVER, NONE
from bench.records.planned import Planned
from bench.records.results import CHEAPER, Results, as_usual
from bench.records.run import Record, RetrievalResult
from bench.report.examples import BySeed, with_base
from bench.report.summary import Summary, summarise
from reaugkd.retrieval.condense import FULL

Pair = tuple[Record, RetrievalResult]
Draws = dict[str, dict[int, Pair]]
"""Condenser with its draw -> seed -> cell."""

WHOLE, REDUCED, SKIPPING, OTHER = "whole", "reduced or rounded", "skipping", "another index"


class Place(NamedTuple):
    """What bases that are compared have in common: task, method, keys, values and share."""

    task: str
    method: str
    keys: str
    values: str
    share: float


def compared(results: Results) -> dict[Place, dict[str, Draws]]:
    """Place -> name of a base -> its cells; only places where some base is cheaper."""
    places: dict[Place, dict[str, Draws]] = {}
    cheaper = set()
    for record, result in results.retrieved:
        if result.control != NONE:
            continue  # it is not to be any good
        place = Place(record.task, record.method, result.keys, result.values, result.share)
        if not _is_whole(result):
            cheaper.add(place)
        drawless = result.condense.partition("@")[0]  # its condenser need not be installed here
        name = results.index_name(result.model_copy(update={"condense": drawless}))
        draws = places.setdefault(place, {}).setdefault(name, {})
        draws.setdefault(result.condense, {})[record.seed] = record, result
    return {place: bases for place, bases in places.items() if place in cheaper}


def _is_whole(cell: Planned | RetrievalResult) -> bool:
    return all(as_usual(cell, axis) for axis in CHEAPER)


def whole_of(results: Results, place: Place) -> str | None:
    """The name of the whole base of a place: the first that is planned, whatever became of it."""
    for cell in results.cells:
        plan = cell.plan
        if plan.kind != "retrieval" or plan.control not in (None, NONE):
            continue
        own = Place(plan.task, plan.method, str(plan.keys), str(plan.values), plan.share or 1.0)
        if own == place and _is_whole(plan):
            return results.index_name(plan)
    return None


@dataclass(frozen=True)
class ComparedBase:
    """One base of a place: its cells by draw and seed.

    Attributes:
        whole: cells of the whole base by seed; none if they have not finished.
        is_whole: whether it is the whole base itself.
        backend: of the whole base.
    """

    name: str
    draws: Draws
    whole: dict[int, Pair]
    is_whole: bool
    backend: str | None

    @cached_property
    def pairs(self) -> list[Pair]:
        """All of its cells."""
        return [pair for by_seed in self.draws.values() for pair in by_seed.values()]

    @property
    def first(self) -> RetrievalResult:
        """The result of some cell of it."""
        return self.pairs[0][1]

    @property
    def kind(self) -> str:
        """The condenser, or else what makes it cheaper, in words."""
        if self.first.condense != FULL:
            return self.first.condense.partition("@")[0].partition(":")[0]
        if not (as_usual(self.first, "pca") and as_usual(self.first, "value_bits")):
            return REDUCED
        if self.first.skip_rule != NEVER:
            return SKIPPING
        return WHOLE if self.first.backend == self.backend else OTHER

    def by_seed(self, value: Callable[[Pair], float | None]) -> Summary:
        """Over seeds, of each the mean of its draws; ``value`` makes it of a cell."""
        by_seed: dict[int, list[float]] = {}
        for record, result in self.pairs:
            values = by_seed.setdefault(record.seed, [])
            values += [] if (v := value((record, result))) is None else [v]
        return summarise(fmean(values) if values else None for values in by_seed.values())

    def by_draw(self, value: Callable[[Pair], float]) -> list[float]:
        """Of each draw the mean over its seeds."""
        return [fmean(map(value, by_seed.values())) for by_seed in self.draws.values()]

    def median(self, value: Callable[[RetrievalResult], float | None]) -> float | None:
        """Over draws and seeds; ``value`` makes it of a result."""
        known = [v for _, result in self.pairs if (v := value(result)) is not None]
        return median(known) if known else None


def bytes_of(result: RetrievalResult) -> float:
    """Index, values and ids; the float32 keys are in the index, not counted twice."""
    keys = 4 * result.entries * result.width
    return result.search.index_bytes + max(0, result.kb_bytes - keys)


def added_us(result: RetrievalResult, split: str) -> float | None:
    """What retrieval adds to the forward of one query, of those that are skipped among them."""
    if result.skip is None:
        return result.search.added_us_p50
    return result.skip.added_us(split)


def answers_of(cells: dict[int, Pair]) -> BySeed:
    """Seed -> answer."""
    return {seed: with_base(*pair) for seed, pair in cells.items()}
