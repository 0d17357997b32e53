"""What a run has found, in sentences: what won, whether that holds, what it costs."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from bench.report.frame import Row, rows
from bench.report.scores import MAJORITY, OFF, TEACHER
from bench.report.summary import number, size
from bench.report.verdict import Verdict, chance, interval, signed
from bench.stats.difference import LEVEL

if TYPE_CHECKING:
    from pandas import DataFrame

FEW = 3
"""So many test splits get a sentence each; of more, only what was found over all."""

PLAIN = "finetune"
"""The method whose training others are held beside."""


class Best(NamedTuple):
    """The student with the highest mean on a test split: alone, or behind ``retrieval``."""

    header: str
    method: str
    retrieval: str
    mean: float
    seeds: int


def of_run(
    frames: Mapping[str, DataFrame], baseline: str | None, missing: int = 0
) -> tuple[str, ...]:
    """Sentences, the most important first; none if there is nothing to compare.

    Args:
        frames: of the sections of a run, by name.
        baseline: what is compared with.
        missing: planned cells that have not run.
    """
    best = _best(_of(frames, "off-on"))
    compared = _of(frames, "comparisons")
    if baseline is None or not compared or not best:
        return ()
    from_baseline = [row for row in compared if row.kind == "baseline"]
    over = _of(frames, "over-tasks")
    lines: list[str] = []
    if len(best) <= FEW:
        lines += [_split(*at, top, from_baseline, baseline) for at, top in best.items()]
    lines += _over(over, baseline)
    if len(best) > 1 or not over:
        lines += _tally(from_baseline, baseline)
    lines += _gains([row for row in compared if row.kind == "retrieval"])
    winners = dict.fromkeys(top.method for top in best.values())
    lines += _training(_of(frames, "effort"), (*winners, baseline))
    lines += _search(_of(frames, "costs"))
    lines += [f"The run is not finished; cells that are missing: {missing}."] if missing else []
    return tuple(lines)


def _of(frames: Mapping[str, DataFrame], name: str) -> list[Row]:
    return rows(frames[name]) if name in frames else []


def _best(pairs: Iterable[Row]) -> dict[tuple[str, str], Best]:
    """(task, test split) -> the student with the highest mean; of equal ones the plainest.

    Each method alone and behind one index: the best of many indexes would be a choice made on the
    test split.
    """
    best: dict[tuple[str, str], Best] = {}
    for pair in pairs:
        for retrieval, value in ((OFF, pair.off), (pair.index or OFF, pair.on)):
            if pair.method in (MAJORITY, TEACHER) or value is None or value.mean is None:
                continue
            leader = best.get((pair.task, pair.split))
            if leader is None or value.mean > leader.mean:
                student = Best(pair.header, pair.method, retrieval, value.mean, value.n)
                best[pair.task, pair.split] = student
    return best


def _split(task: str, split: str, best: Best, compared: Sequence[Row], baseline: str) -> str:
    on_split = [row for row in compared if (row.task, row.split) == (task, split)]
    start = f"{best.header}: {_named(best.method, best.retrieval)} scores highest, "
    start += f"{100 * best.mean:.2f} ({_seeds(best.seeds)})"
    if (best.method, best.retrieval) == (baseline, OFF):
        tested = [row for row in on_split if row.adjusted is not None]
        lower = _count(tested)[Verdict.WORSE]
        shown = f", and {lower} of {len(tested)} others are shown worse" if tested else ""
        return f"{start}; it is the baseline{shown}."
    lead = [row for row in on_split if (row.method, row.retrieval) == (best.method, best.retrieval)]
    return f"{start}, {_against(lead[0], baseline, best.seeds)}." if lead else f"{start}."


def _against(row: Row, baseline: str, seeds: int) -> str:
    difference = row.difference
    if difference is None:
        return str(row.verdict)
    start = f"{signed(difference.estimate)} points over {baseline}"
    if len(row.seeds) != seeds:
        start += f" on {len(row.seeds)} shared seed{'s' if len(row.seeds) > 1 else ''}"
    if row.outcome == Verdict.ONE_SEED:
        return f"{start}; one seed, so nothing tells how far this is chance"
    ends = f"95 % interval {interval(difference)}, p {chance(row.adjusted)} after Holm's correction"
    shown = row.outcome != Verdict.NOT_SHOWN
    if not shown and difference.p is not None and difference.p < LEVEL:
        return f"{start} ({ends}): not shown beside so many tests; alone p {chance(difference.p)}"
    if not shown and difference.detectable:
        seen = (
            f"{100 * difference.detectable:.2f} points would have been seen with a chance of 80 %"
        )
        return f"{start} ({ends}): no difference shown; {seen} before the correction"
    return f"{start} ({ends}): {row.outcome}"


def _over(over: Sequence[Row], baseline: str) -> Iterator[str]:
    ranked = [row for row in over if row.rank is not None]
    if not ranked:
        return
    first = min(ranked, key=lambda row: (row.rank, -(row.average or 0)))
    line = (
        f"Over {len(first.tasks)} tasks {_named(first.method, first.retrieval)} has the best mean "
        f"rank ({first.rank:.2f} of {len(ranked)}; average {100 * (first.average or 0):.2f})"
    )
    if (first.method, first.retrieval) == (baseline, OFF):
        yield f"{line}; it is the baseline."
    elif not first.better + first.worse + first.not_shown:
        yield f"{line}; no difference from {baseline} could be tested."
    else:
        counts = f"{first.better} better, {first.worse} worse, {first.not_shown} not shown"
        yield f"{line}; against {baseline}: {counts}."


def _tally(compared: Sequence[Row], baseline: str) -> Iterator[str]:
    tested = [row for row in compared if row.adjusted is not None]
    if not tested:
        takes = ": that takes two seeds" if _count(compared)[Verdict.ONE_SEED] else ""
        yield f"None of the differences from {baseline} could be tested{takes}."
        return
    better, worse = _better_and_worse(tested)
    yield (
        f"Differences from {baseline} that hold after Holm's correction: {better + worse} of "
        f"{len(tested)} ({better} better, {worse} worse); the others may be chance."
    )


def _gains(compared: Sequence[Row]) -> Iterator[str]:
    gains = [row.difference.estimate for row in compared if row.difference]
    if not gains:
        return
    ends = dict.fromkeys((signed(min(gains)), signed(max(gains))))
    line = (
        f"Retrieval changes the score of the same student by {' to '.join(ends)} points in "
        f"{len(gains)} row{'s' if len(gains) > 1 else ''} (method, index, test split)"
    )
    tested = [row for row in compared if row.difference and row.adjusted is not None]
    better, worse = _better_and_worse(tested)
    if not tested:
        yield f"{line}; one seed, no test."
    elif not better + worse:
        yield f"{line}; no difference shown in any."
    else:
        yield f"{line}: {better} better, {worse} worse, the rest not shown."


def _count(compared: Iterable[Row]) -> Counter[str]:
    return Counter(row.outcome for row in compared)


def _better_and_worse(tested: Iterable[Row]) -> tuple[int, int]:
    counts = _count(tested)
    return counts[Verdict.BETTER], counts[Verdict.WORSE]


def _training(efforts: Iterable[Row], methods: Iterable[str]) -> Iterator[str]:
    relative: dict[str, list[float]] = {}
    for row in efforts:
        if row.relative is not None and row.method != PLAIN:
            relative.setdefault(row.method, []).append(row.relative)
    shown = [method for method in dict.fromkeys(methods) if method in relative]
    times = [f"{number(statistics.median(relative[one]))} times with {one}" for one in shown]
    if times:
        yield f"Training takes, beside {PLAIN}: {', '.join(times)}."


def _search(costs: Sequence[Row]) -> Iterator[str]:
    if costs:
        times = [row.search_us_p50 for row in costs]
        sizes = [row.kb_bytes + row.index_bytes for row in costs]
        took = " to ".join(dict.fromkeys((number(min(times)), number(max(times)))))
        held = " to ".join(dict.fromkeys((size(min(sizes)), size(max(sizes)))))
        yield (
            f"Retrieval takes {took} µs a search (median, index call only, in a hot loop) and "
            f"{held} of knowledge base and index."
        )


def _named(method: str, retrieval: str) -> str:
    return method if retrieval == OFF else f"{method} with {retrieval}"


def _seeds(count: int) -> str:
    return f"{count} seed{'s' if count > 1 else ''}"
