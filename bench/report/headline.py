"""What was found, in a few sentences: what won, by how much, whether that holds, what it costs."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.report.comparisons import (
    BETTER,
    NOT_SHOWN,
    ONE_SEED,
    WORSE,
    Comparison,
    chance,
    interval,
    of_kind,
    signed,
)
from bench.report.costs import Cost
from bench.report.frame import Row
from bench.report.over_tasks import OverTasks
from bench.report.pairs import CONTROLS, Pair
from bench.report.scores import OFF
from bench.report.sections.effort import REFERENCE
from bench.report.summary import number, size
from bench.stats.difference import LEVEL

FEW = 3
"""So many test splits get a sentence each; of more, only what was found over all."""


@dataclass(frozen=True)
class _Best:
    """The student with the highest mean on a test split: alone, or behind ``retrieval``."""

    header: str
    method: str
    retrieval: str
    mean: float
    seeds: int


def headline(
    found: Sequence[Pair],
    compared: Sequence[Comparison],
    over: Sequence[OverTasks],
    efforts: Sequence[Row],
    costs: Sequence[Cost],
    baseline: str | None,
    missing: int = 0,
) -> tuple[str, ...]:
    """Sentences, the most important first; none if there is nothing to compare.

    Args:
        found: scores of every method alone and behind the first index of the plan.
        compared: with ``baseline``, and of every index with its method alone.
        over: tasks.
        efforts, costs: of training and of retrieval.
        baseline: what is compared with.
        missing: planned cells that have not run.
    """
    best = _best(found)
    if baseline is None or not compared or not best:
        return ()
    lines = []
    if len(best) <= FEW:
        lines += [_split(*at, one, compared, baseline) for at, one in best.items()]
    lines += _over(over, baseline)
    if len(best) > 1 or not over:
        lines += _tally(of_kind(compared, "baseline"), baseline)
    lines += _gains(of_kind(compared, "retrieval"))
    winners = dict.fromkeys(one.method for one in best.values())
    lines += _training(efforts, (*winners, baseline))
    lines += _search(costs)
    lines += [f"The run is not finished; cells that are missing: {missing}."] if missing else []
    return tuple(lines)


def _best(found: Iterable[Pair]) -> dict[tuple[str, str], _Best]:
    """(task, test split) -> the student with the highest mean; of equal ones the plainest.

    Each method alone and behind one index: the best of many indexes would be a choice made on the
    test split.
    """
    best: dict[tuple[str, str], _Best] = {}
    for pair in found:
        for retrieval, value in ((OFF, pair.off), (pair.index or OFF, pair.on)):
            if pair.method in CONTROLS or value is None or value.mean is None:
                continue
            known = best.get((pair.task, pair.split))
            if known is None or value.mean > known.mean:
                one = _Best(pair.header, pair.method, retrieval, value.mean, value.n)
                best[pair.task, pair.split] = one
    return best


def _split(
    task: str, split: str, best: _Best, compared: Sequence[Comparison], baseline: str
) -> str:
    own = [one for one in of_kind(compared, "baseline") if (one.task, one.split) == (task, split)]
    seeds = f"{best.seeds} seed{'s' if best.seeds > 1 else ''}"
    start = f"{best.header}: {_named(best.method, best.retrieval)} scores highest, "
    start += f"{100 * best.mean:.2f} ({seeds})"
    if (best.method, best.retrieval) == (baseline, OFF):
        tested = [one for one in own if one.adjusted is not None]
        lower = sum(one.verdict == WORSE for one in tested)
        shown = f", and {lower} of {len(tested)} others are shown worse" if tested else ""
        return f"{start}; it is the baseline{shown}."
    here = [one for one in own if (one.method, one.retrieval) == (best.method, best.retrieval)]
    return f"{start}, {_against(here[0], baseline, best.seeds)}." if here else f"{start}."


def _against(one: Comparison, baseline: str, seeds: int) -> str:
    found = one.difference
    if found is None:
        return one.verdict
    start = f"{signed(found.estimate)} points over {baseline}"
    if len(one.seeds) != seeds:
        start += f" on {len(one.seeds)} shared seed{'s' if len(one.seeds) > 1 else ''}"
    if one.verdict == ONE_SEED:
        return f"{start}; one seed, so nothing tells how far this is chance"
    ends = f"95 % interval {interval(found)}, p {chance(one.adjusted)} after Holm's correction"
    if one.verdict == NOT_SHOWN and found.p is not None and found.p < LEVEL:
        return f"{start} ({ends}): not shown beside so many tests; alone p {chance(found.p)}"
    if one.verdict == NOT_SHOWN and found.detectable:
        seen = f"{100 * found.detectable:.2f} points would have been seen with a chance of 80 %"
        return f"{start} ({ends}): no difference shown; {seen} before the correction"
    return f"{start} ({ends}): {one.verdict}"


def _over(over: Sequence[OverTasks], baseline: str) -> list[str]:
    ranked = [one for one in over if one.rank is not None]
    if not ranked:
        return []
    first = min(ranked, key=lambda one: (one.rank, -(one.average or 0)))
    line = (
        f"Over {len(first.tasks)} tasks {_named(first.method, first.retrieval)} has the best mean "
        f"rank ({first.rank:.2f} of {len(ranked)}; average {100 * (first.average or 0):.2f})"
    )
    if (first.method, first.retrieval) == (baseline, OFF):
        return [f"{line}; it is the baseline."]
    if not first.better + first.worse + first.not_shown:
        return [f"{line}; no difference from {baseline} could be tested."]
    counts = f"{first.better} better, {first.worse} worse, {first.not_shown} not shown"
    return [f"{line}; against {baseline}: {counts}."]


def _tally(own: Sequence[Comparison], baseline: str) -> list[str]:
    tested = [one for one in own if one.adjusted is not None]
    if not tested:
        takes = ": that takes two seeds" if any(one.verdict == ONE_SEED for one in own) else ""
        return [f"None of the differences from {baseline} could be tested{takes}."]
    better = sum(one.verdict == BETTER for one in tested)
    worse = sum(one.verdict == WORSE for one in tested)
    found = f"{better + worse} of {len(tested)} ({better} better, {worse} worse)"
    return [
        f"Differences from {baseline} that hold after Holm's correction: {found}; the others may "
        "be chance."
    ]


def _gains(own: Sequence[Comparison]) -> list[str]:
    known = [one for one in own if one.difference]
    if not known:
        return []
    gains = [one.difference.estimate for one in known if one.difference]
    rows = f"{len(known)} row{'s' if len(known) > 1 else ''} (method, index, test split)"
    ends = dict.fromkeys((signed(min(gains)), signed(max(gains))))
    start = f"Retrieval changes the score of the same student by {' to '.join(ends)} points in "
    tested = [one for one in known if one.adjusted is not None]
    if not tested:
        return [f"{start}{rows}; one seed, no test."]
    better = sum(one.verdict == BETTER for one in tested)
    worse = sum(one.verdict == WORSE for one in tested)
    if not better + worse:
        return [f"{start}{rows}; no difference shown in any."]
    return [f"{start}{rows}: {better} better, {worse} worse, the rest not shown."]


def _training(efforts: Iterable[Row], methods: Iterable[str]) -> list[str]:
    relative: dict[str, list[float]] = {}
    for one in efforts:
        if one.relative is not None and one.method != REFERENCE:
            relative.setdefault(one.method, []).append(one.relative)
    shown = [method for method in dict.fromkeys(methods) if method in relative]
    parts = [f"{number(statistics.median(relative[one]))} times with {one}" for one in shown]
    return [f"Training takes, beside {REFERENCE}: {', '.join(parts)}."] if parts else []


def _search(costs: Sequence[Cost]) -> list[str]:
    if not costs:
        return []
    times = [cost.search_us_p50 for cost in costs]
    sizes = [cost.kb_bytes + cost.index_bytes for cost in costs]
    took = " to ".join(dict.fromkeys((number(min(times)), number(max(times)))))
    held = " to ".join(dict.fromkeys((size(min(sizes)), size(max(sizes)))))
    return [
        f"Retrieval takes {took} µs a search (median, index call only, in a hot loop) and {held} "
        "of knowledge base and index."
    ]


def _named(method: str, retrieval: str) -> str:
    return method if retrieval == OFF else f"{method} with {retrieval}"
