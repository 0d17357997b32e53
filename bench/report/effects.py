"""What retrieval changes, and how near each index comes to exact search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

from bench.record import RetrievalResult
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
        for (_, _, index), pairs in results.by_index().items()
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
        if r.optimistic.selected_on != split:
            return None
        return r.optimistic.scores[split][metric] - r.chosen.scores[split][metric]

    several = f" {split.removeprefix('dev_')}" if len(record.tests) > 1 else ""
    return Effect(
        task=record.task,
        title=record.title + several,
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


def exactness_table(found: list[Effect]) -> Table:
    """Recall, agreement and the effort it took."""
    rows = tuple(
        (
            effect.title,
            effect.method,
            effect.index,
            points(effect.recall),
            points(effect.agreement),
            each(effect.effort),
            f"{100 * effect.target:g}",
            f"{effect.targets_met} of {len(effect.seeds)}",
        )
        for effect in found
    )
    k_max = each([effect.k_max for effect in found])
    figures = (f"recall@{k_max}", "agreement", "effort", "target", "target met")
    notes = (
        "recall and agreement on the test split, in percent: of the exact neighbours, and of "
        "examples answered as with exact search. effort is the index's search setting, tuned on "
        "held-out queries to the recall target; met by so many seeds.",
    )
    return Table("Exactness of the index", (*LABELS, *figures), rows, len(LABELS), notes)


def bias_table(found: list[Effect]) -> Table | None:
    """The selection bias of every method, or None where none is known."""
    biases: dict[str, list[Effect]] = {}
    for effect in found:
        if effect.selection_bias.mean is not None:
            biases.setdefault(effect.method, []).append(effect)
    if not biases:
        return None
    rows = tuple(
        (
            method,
            points(Summary(fmean(e.selection_bias.mean or 0.0 for e in own), None, 1), sign=True),
            str(len({effect.task for effect in own})),
            str(len(own)),
        )
        for method, own in biases.items()
    )
    notes = (
        "What choosing k, beta and tau on the test split instead of held-out would add to the "
        "score, in points: the mean over tasks and indexes. The scores of this report are without "
        "it; papers that choose on dev are with it.",
    )
    return Table("Selection bias", ("method", "bias", "tasks", "rows"), rows, 1, notes)
