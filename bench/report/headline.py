"""What was found, in sentences: what won, whether that holds, what it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from pandas import DataFrame

from bench.report.frame import Row, rows
from bench.report.scores import CONTROLS, OFF
from bench.report.sections.latency import percent, verdict
from bench.report.summary import number, size
from bench.report.verdict import Verdict, chance, interval, signed
from bench.stats.difference import LEVEL

FEW = 3
"""So many test splits get a sentence each; of more, only what was found over all."""

TIE = 0.00005
"""Means that are nearer than this differ by 0.00 points."""

PLAIN = "finetune"
"""The method whose training others are held beside."""

RATIO = "result.ratio.estimate"


class Best(NamedTuple):
    """A student with the highest mean on a test split: alone, or behind ``retrieval``."""

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
    sections = ("off-on", "comparisons", "over-tasks", "costs")
    pairs, compared, over, costs = (rows(frames[name]) for name in sections)
    best = _best(pairs)
    if baseline is None or not compared or not best:
        return ()
    from_baseline = [row for row in compared if row.kind == "baseline"]
    lines: list[str] = []
    if len(best) <= FEW:
        lines += [_split(*at, leaders, from_baseline, baseline) for at, leaders in best.items()]
    lines += _over(over, baseline)
    if len(best) > 1 or not over:
        lines.append(_tally(from_baseline, baseline))
    lines += _gains([row for row in compared if row.kind == "retrieval" and row.difference])
    winners = [leaders[0].method for leaders in best.values()]
    lines += _training(frames["effort"], dict.fromkeys((*winners, baseline)))
    if costs:
        took = _range(number, [row.search_us_p50 for row in costs])
        held = _range(size, [row.kb_bytes + row.index_bytes for row in costs])
        lines.append(
            f"Retrieval takes {took} µs a search (median, index call only, in a hot loop) and "
            f"{held} of knowledge base and index."
        )
    lines += [f"The run is not finished; cells that are missing: {missing}."] if missing else []
    return tuple(lines)


def _best(pairs: Iterable[Row]) -> dict[tuple[str, str], list[Best]]:
    """(task, test split) -> the student with the highest mean; of a tie all, the plainest first.

    Each method alone and behind one index: the best of many indexes would be a choice made on the
    test split.
    """
    students: dict[tuple[str, str], list[Best]] = {}
    for pair in pairs:
        for retrieval, value in ((OFF, pair.off), (pair.index or OFF, pair.on)):
            if pair.method not in CONTROLS and value is not None and value.mean is not None:
                student = Best(pair.header, pair.method, retrieval, value.mean, value.n)
                students.setdefault((pair.task, pair.split), []).append(student)
    highest = {at: max(student.mean for student in of_split) for at, of_split in students.items()}
    return {
        at: [student for student in of_split if highest[at] - student.mean < TIE]
        for at, of_split in students.items()
    }


def _split(
    task: str, split: str, leaders: Sequence[Best], compared: Sequence[Row], baseline: str
) -> str:
    on_split = [row for row in compared if (row.task, row.split) == (task, split)]
    best, tied = leaders[0], len(leaders) > 1
    seeds = _range(str, sorted({leader.seeds for leader in leaders}))
    scores = "tie for the highest score" if tied else "scores highest"
    start = f"{best.header}: {_names(leaders)} {scores}, {100 * best.mean:.2f}"
    start += f" ({seeds} seed{'s' * (seeds != '1')})"
    for leader in leaders:
        if (leader.method, leader.retrieval) == (baseline, OFF):
            tested = [row for row in on_split if row.adjusted is not None]
            worse = sum(row.outcome == Verdict.WORSE for row in tested)
            others = "rows" if tied else "others"
            shown = f", and {worse} of {len(tested)} {others} are shown worse" if tested else ""
            return f"{start}; {baseline if tied else 'it'} is the baseline{shown}."
    for row in on_split:
        if (row.method, row.retrieval) == (best.method, best.retrieval):
            whose = f"; {_named(best)} " if tied else ", "
            return f"{start}{whose}{_against(row, baseline, best.seeds)}."
    return f"{start}."


def _against(row: Row, baseline: str, seeds: int) -> str:
    difference = row.difference
    if difference is None:
        return str(row.verdict)
    start = f"{signed(difference.estimate)} points over {baseline}"
    if len(row.seeds) != seeds:
        start += f" on {len(row.seeds)} shared seed{'s' * (len(row.seeds) > 1)}"
    if row.outcome == Verdict.ONE_SEED:
        return f"{start}; one seed, so nothing tells how far this is chance"
    start += f" (95 % interval {interval(difference)}, p {chance(row.adjusted)} after Holm's "
    start += "correction)"
    if row.outcome == Verdict.NOT_SHOWN:
        if difference.p is not None and difference.p < LEVEL:
            return f"{start}: not shown beside so many tests; alone p {chance(difference.p)}"
        if difference.detectable:
            return (
                f"{start}: no difference shown; {100 * difference.detectable:.2f} points would "
                "have been seen with a chance of 80 % before the correction"
            )
    return f"{start}: {row.outcome}"


def _over(over: Sequence[Row], baseline: str) -> Iterator[str]:
    ranked = [row for row in over if row.rank is not None]
    if not ranked:
        return
    first = min(ranked, key=lambda row: (row.rank, -row.average))
    equal = [row for row in ranked if (row.rank, row.average) == (first.rank, first.average)]
    line = (
        f"Over {len(first.tasks)} tasks {_names(equal)} {'share' if equal[1:] else 'has'} the best "
        f"mean rank ({first.rank:.2f} of {len(ranked)}; average {100 * first.average:.2f})"
    )
    if (first.method, first.retrieval) == (baseline, OFF):
        yield f"{line}; it is the baseline."
    elif not first.better + first.worse + first.not_shown:
        yield f"{line}; no difference from {baseline} could be tested."
    else:
        counts = f"{first.better} better, {first.worse} worse, {first.not_shown} not shown"
        yield f"{line}; against {baseline}: {counts}."


def _tally(compared: Sequence[Row], baseline: str) -> str:
    tested, counts = _tested(compared)
    if not tested:
        one_seed = any(row.outcome == Verdict.ONE_SEED for row in compared)
        takes = ": that takes two seeds" if one_seed else ""
        return f"None of the differences from {baseline} could be tested{takes}."
    better, worse = counts[Verdict.BETTER], counts[Verdict.WORSE]
    return (
        f"Differences from {baseline} that hold after Holm's correction: {better + worse} of "
        f"{tested} ({better} better, {worse} worse); the others may be chance."
    )


def _gains(compared: Sequence[Row]) -> Iterator[str]:
    if not compared:
        return
    line = (
        "Retrieval changes the score of the same student by "
        f"{_range(signed, [row.difference.estimate for row in compared])} points in "
        f"{len(compared)} row{'s' * (len(compared) > 1)} (method, index, test split)"
    )
    tested, counts = _tested(compared)
    better, worse = counts[Verdict.BETTER], counts[Verdict.WORSE]
    if not tested:
        yield f"{line}; one seed, no test."
    elif not better + worse:
        yield f"{line}; no difference shown in any."
    else:
        yield f"{line}: {better} better, {worse} worse, the rest not shown."


def _tested(compared: Iterable[Row]) -> tuple[int, Counter[str]]:
    """How many were tested, and how often with which outcome."""
    counts = Counter(str(row.outcome) for row in compared if row.adjusted is not None)
    return counts.total(), counts


def _training(efforts: DataFrame, methods: Iterable[str]) -> Iterator[str]:
    others = efforts[efforts["method"] != PLAIN] if len(efforts) else efforts
    medians = others.groupby("method")["relative"].median().dropna() if len(others) else {}
    shown = [method for method in methods if method in medians]
    if times := [f"{number(medians[method])} times with {method}" for method in shown]:
        yield f"Training takes, beside {PLAIN}: {', '.join(times)}."


def _named(student: Best | Row) -> str:
    return student.method + ("" if student.retrieval == OFF else f" with {student.retrieval}")


def _names(students: Sequence[Best | Row]) -> str:
    names = [_named(student) for student in students]
    if len(names) > FEW + 1:
        names[FEW:] = [f"{len(names) - FEW} more"]
    return f"{', '.join(names[:-1])} and {names[-1]}" if names[1:] else names[0]


def _range(show: Callable[[float], str], values: Sequence[float]) -> str:
    return " to ".join(dict.fromkeys((show(min(values)), show(max(values)))))


def of_latency(frame: DataFrame) -> Iterator[str]:
    """How often each limit holds, which backend serves, where the overhead is least and most.

    Args:
        frame: of the section of latency.
    """
    lines = rows(frame)
    for limit in sorted({row.limit for row in lines}):
        counts = Counter(verdict(row) for row in lines if row.limit == limit)
        parts = ", ".join(f"{name} in {count}" for name, count in counts.most_common())
        yield (
            f"Overhead of retrieval against a limit of {100 * limit:g} %: of {counts.total()} "
            f"cells, {parts}."
        )
    if RATIO in frame:
        timed = frame[frame[RATIO].notna()]
        yield from _backends(timed)
        least, most = rows(timed.loc[[timed[RATIO].idxmin(), timed[RATIO].idxmax()]])
        yield (
            f"It lies between {percent(least.result.ratio)} % ({least.label}) and "
            f"{percent(most.result.ratio)} % ({most.label}) of the forward."
        )


def _backends(timed: DataFrame) -> Iterator[str]:
    """Per setting, the backend within the limit for the most bases, and among equals the cheapest.

    Only backends that were measured for every base of the setting are compared.
    """
    holds = timed["cell.base"].where(timed["verdict"] == "holds")
    for setting, group in timed.assign(holds=holds).groupby("setting", sort=False):
        backends = group.groupby("cell.backend", sort=False).agg(
            bases=("cell.base", "nunique"), holds=("holds", "nunique"), overhead=(RATIO, "sum")
        )
        bases = group["cell.base"].nunique()
        whole = backends[backends["bases"] == bases]
        if len(whole) < 2:
            continue
        best = whole.sort_values(["holds", "overhead"], ascending=[False, True], kind="stable")
        yield (
            f"{setting}: of {len(whole)} backends {best.index[0]} serves best, within the limit "
            f"for {best['holds'].iloc[0]} of {bases} knowledge bases."
        )
