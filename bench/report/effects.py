"""What retrieval changes, and how near each index comes to exact search."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from bench.records.run import Record, RetrievalResult
from bench.report.results import HELD_OUT, Pairs, Results
from bench.report.summary import Summary, each, points, summarise
from bench.report.table import Table


@dataclass(frozen=True)
class Effect:
    """One method with one index on one test split, by the task's selection metric.

    Lists have one entry per seed. Gains are paired: on minus off of the same student.

    Attributes:
        title: of the task, with the split where a task has several.
        selected_on: the split on which k, beta and tau were chosen.
        gain_held_out: on the held-out split; flattering, as the choice was made there.
        optimistic: the test score had the choice been made on a test split.
        selection_bias: ``optimistic`` minus ``on``, where ``optimistic`` was chosen on this split.
        recall: against exact search at ``k_max``, the largest k.
        agreement: share of examples answered as with exact search.
        targets_met: number of seeds whose search effort reached the recall ``target``.
    """

    task: str
    title: str
    split: str
    metric: str
    method: str
    index: str
    seeds: list[int]
    k: list[int]
    beta: list[float]
    tau: list[float]
    selected_on: str
    off: Summary
    on: Summary
    gain: Summary
    gain_held_out: Summary
    optimistic: Summary
    selection_bias: Summary
    recall: Summary
    agreement: Summary
    k_max: int
    effort: list[int | None]
    target: float
    targets_met: int


def effects(results: Results) -> list[Effect]:
    """The effect of every (task, method, index, test split)."""
    return [
        _effect(index, split, pairs)
        for (_, _, index), pairs in results.by_index.items()
        for split in pairs[0][0].tests
    ]


def _effect(index: str, split: str, pairs: Pairs) -> Effect:
    record, first = pairs[0]
    metric, found = record.select_on, [result for _, result in pairs]

    def over(value: Callable[[RetrievalResult], float | None]) -> Summary:
        return summarise(map(value, found))

    def gain(split: str) -> Summary:
        return over(lambda r: r.chosen.scores[split][metric] - r.off[split][metric])

    def bias(r: RetrievalResult) -> float | None:
        return _bias(record, r) if r.optimistic.selected_on == split else None

    return Effect(
        task=record.task,
        title=record.heading(split),
        split=split,
        metric=metric,
        method=record.method,
        index=index,
        seeds=[record.seed for record, _ in pairs],
        k=[r.chosen.k for r in found],
        beta=[r.chosen.beta for r in found],
        tau=[r.chosen.tau for r in found],
        selected_on=each([r.chosen.selected_on for r in found]),
        off=over(lambda r: r.off[split][metric]),
        on=over(lambda r: r.chosen.scores[split][metric]),
        gain=gain(split),
        gain_held_out=gain(HELD_OUT),
        optimistic=over(lambda r: r.optimistic.scores[split][metric]),
        selection_bias=over(bias),
        recall=over(lambda r: r.search.recall.get(split)),
        agreement=over(lambda r: r.search.agreement.get(split)),
        k_max=max(first.ks),
        effort=[r.search.effort for r in found],
        target=first.search.target,
        targets_met=sum(r.search.target_met for r in found),
    )


LABELS = ("task", "method", "index")


def gain_table(found: list[Effect]) -> Table:
    """The chosen setting, the score without and with it, and how far the choice flatters."""
    rows = tuple(
        (
            effect.title,
            effect.method,
            effect.index,
            each(effect.k),
            each(effect.beta),
            each(effect.tau),
            points(effect.off),
            points(effect.on),
            points(effect.gain, sign=True),
            points(effect.gain_held_out, sign=True),
            points(effect.optimistic),
            points(effect.selection_bias, sign=True),
        )
        for effect in found
    )
    figures = ("k", "beta", "tau", "off", "on", "gain", "gain held-out", "optimistic", "bias")
    chosen_on = ", ".join(dict.fromkeys(effect.selected_on for effect in found))
    notes = [
        f"k, beta and tau were chosen on {chosen_on} (one value, or one per seed); off, on and "
        "gain are of the test split, by the task's selection metric, in points. gain = on - off "
        "of the same student.",
        "optimistic: the score had the choice been made on the test split, as papers often do; "
        "bias = optimistic - on, the selection bias.",
    ]
    if any(0 in effect.beta for effect in found):
        notes.append("beta = 0: the choice was not to use what is retrieved.")
    return Table("Retrieval", (*LABELS, *figures), rows, len(LABELS), tuple(notes))


@dataclass(frozen=True)
class Bias:
    """What choosing k, beta and tau on a test split would add to the scores of a method.

    Attributes:
        index: behind which, the first of the plan; several where tasks differ.
        tasks: those with a known score, each counts once.
        seeds: how many a task has, distinct numbers in order.
        mean: over tasks, of the means over seeds; a share.
        sd: over seeds, of the mean over tasks; None unless every task has the same two or more.
    """

    method: str
    index: str
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    mean: float
    sd: float | None


def biases(results: Results) -> list[Bias]:
    """The selection bias of every method behind its first index."""
    found: dict[str, dict[str, dict[int, float]]] = {}
    for (task, method, index), pairs in results.by_index.items():
        if index == results.first_index(task, method):
            own = {record.seed: _bias(record, result) for record, result in pairs}
            if all(map(math.isfinite, own.values())):
                found.setdefault(method, {})[task] = own
    return [_over_tasks(results, method, own) for method, own in found.items()]


def _bias(record: Record, result: RetrievalResult) -> float:
    """On the split that the optimistic choice was made on."""
    split, metric = result.optimistic.selected_on, record.select_on
    return result.optimistic.scores[split][metric] - result.chosen.scores[split][metric]


def _over_tasks(results: Results, method: str, own: dict[str, dict[int, float]]) -> Bias:
    first, *others = own.values()
    sd = None
    if len(first) > 1 and all(other.keys() == first.keys() for other in others):
        sd = stdev(fmean(values[seed] for values in own.values()) for seed in first)
    indexes = dict.fromkeys(results.first_index(task, method) or "" for task in own)
    return Bias(
        method=method,
        index="; ".join(indexes),
        tasks=tuple(own),
        seeds=tuple(sorted({len(values) for values in own.values()})),
        mean=fmean(fmean(values.values()) for values in own.values()),
        sd=sd,
    )


def bias_table(found: Sequence[Bias]) -> Table | None:
    """The selection bias of every method, or None where none is known."""
    if not found:
        return None
    rows = tuple(
        (
            one.method,
            one.index,
            points(Summary(one.mean, one.sd, max(one.seeds)), sign=True),
            f"{len(one.tasks)}",
            ", ".join(map(str, one.seeds)),
        )
        for one in found
    )
    notes = [
        "What choosing k, beta and tau on the test split instead of held-out would add to the "
        "score, in points, behind the first index of the plan: the mean over tasks of the mean "
        "over seeds, ± the sd over seeds of the mean over tasks. The scores of this report are "
        "without it; papers that choose on dev are with it."
    ]
    if any(one.sd is None for one in found):
        notes.append("No sd: one seed, or tasks with different seeds.")
    return Table("Selection bias", ("method", "index", "bias", "tasks", "n"), rows, 2, tuple(notes))
