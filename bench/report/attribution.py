"""What a gain of retrieval is made of: one cause at a time beside the reference knowledge base."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bench.pipeline.knowledge_base import NONE, percent
from bench.records.run import Answers, ControlResult, Record, RetrievalResult
from bench.report.results import BASE_AXES, HELD_OUT, Planned, Results
from bench.report.summary import Summary, each, nats, points, summarise
from bench.report.table import EMPTY, Table
from bench.stats.difference import Difference

REFERENCE, SEVERAL, NO_BASE = "reference", "several", "no knowledge base"
SCALED, HEAD = "temperature-scaled student", "second head"
AXES = (*BASE_AXES, "backend")
BySeed = dict[int, RetrievalResult]


@dataclass(frozen=True)
class Factor:
    """One change of the knowledge base, or one control without any, for one method.

    Differences are paired by seed: of the same student.

    Attributes:
        factor: what was changed, e.g. ``values``; ``reference`` for the knowledge base that the
            others are compared with; ``no knowledge base`` for the controls.
        level: what it was changed to, e.g. ``hard``.
        on: the task's selection metric on the test split.
        gain: ``on`` minus the student alone.
        gain_held_out: the same where k, beta and tau were chosen.
        to_reference: ``on`` minus the reference's, None for the reference.
        loss: mean negative log-likelihood (squared error for a regression) of the answers.
        loss_change: that minus the student's own; negative is better.
        beta: chosen weight of what was added, by seed.
        from_reference: ``to_reference`` with its interval over seeds and examples; None for the
            reference, and where per-example outputs cannot be used.
        adjusted: its p after Holm's correction over all rows; None without a test.
    """

    task: str
    title: str
    method: str
    factor: str
    level: str
    on: Summary
    gain: Summary
    gain_held_out: Summary
    to_reference: Summary | None
    loss: Summary
    loss_change: Summary
    beta: list[float | None]
    n: int
    from_reference: Difference | None = None
    adjusted: float | None = None


def of_students(results: Results) -> dict[tuple[str, str], dict[tuple[str, str], BySeed]]:
    """(task, method) -> (factor, level) -> seed -> result; the reference comes first."""
    found: dict[tuple[str, str], dict[tuple[str, str], BySeed]] = {}
    for record, result in results.retrieved:
        reference = results.references[record.task, record.method, record.seed]
        own = found.setdefault((record.task, record.method), {})
        own.setdefault(change_of(reference, result), {})[record.seed] = result
    return found


def change_of(reference: Planned, result: RetrievalResult) -> tuple[str, str]:
    """(factor, level): what differs from the reference, and what it was changed to."""
    names = [name for name in AXES if getattr(result, name) != getattr(reference, name)]
    if not names:
        return REFERENCE, _level(result, AXES)
    return (names[0] if len(names) == 1 else SEVERAL), _level(result, names)


def _level(result: RetrievalResult, names: Iterable[str]) -> str:
    shown = {
        "keys": f"{result.keys} keys",
        "values": f"{result.values} labels",
        "share": percent(result.share),
        "control": result.control.replace("-", " "),
        "backend": result.backend,
    }
    hidden = {"control"} if result.control == NONE else set()
    return ", ".join(shown[name] for name in names if name not in hidden)


def factors(results: Results) -> list[Factor]:
    """Every change of every student's knowledge base, then its controls."""
    answered = (r for r in results.records if r.status == "ok" and (r.retrieval or r.controls))
    records = {(r.task, r.method): r for r in answered}
    students, rows = of_students(results), []
    for at, record in records.items():
        changes = students.get(at, {})
        first = reference_of(changes)
        rows += [_factor(record, *name, found, first) for name, found in changes.items()]
        rows += _controls(results, record, first)
    return rows


@dataclass(frozen=True)
class _Control:
    """What a control answers: its scores and losses by split, and the weight of what was added."""

    answers: Answers
    beta: float | None


def _controls(results: Results, record: Record, reference: BySeed) -> list[Factor]:
    """What could do as well as a knowledge base."""
    own = [
        (r.seed, r.controls)
        for r in results.records
        if r.status == "ok" and r.controls and (r.task, r.method) == (record.task, record.method)
    ]
    rows = []
    for level, control in ((SCALED, _scaled), (HEAD, _head)):
        found = {seed: (one, control(one)) for seed, one in sorted(own)}
        kept = {seed: (one.off, made) for seed, (one, made) in found.items() if made is not None}
        if kept:
            rows.append(_control(record, level, kept, reference))
    return rows


def _scaled(result: ControlResult) -> _Control | None:
    return _Control(result.temperature.answers, None) if result.temperature else None


def _head(result: ControlResult) -> _Control:
    return _Control(result.second_head.mixed, result.second_head.beta)


def _control(
    record: Record, level: str, found: Mapping[int, tuple[Answers, _Control]], reference: BySeed
) -> Factor:
    metric, split = record.select_on, record.tests[0]

    def gain(split: str) -> Summary:
        return summarise(
            made.answers.scores[split][metric] - off.scores[split][metric]
            for off, made in found.values()
        )

    return Factor(
        task=record.task,
        title=record.title,
        method=record.method,
        factor=NO_BASE,
        level=level,
        on=summarise(made.answers.scores[split][metric] for _, made in found.values()),
        gain=gain(split),
        gain_held_out=gain(HELD_OUT),
        to_reference=summarise(
            made.answers.scores[split][metric] - reference[seed].chosen.scores[split][metric]
            for seed, (_, made) in found.items()
            if seed in reference
        ),
        loss=summarise(loss_of(made.answers.loss[split]) for _, made in found.values()),
        loss_change=summarise(
            loss_of(made.answers.loss[split]) - loss_of(off.loss[split])
            for off, made in found.values()
        ),
        beta=[made.beta for _, made in found.values()],
        n=len(found),
    )


def reference_of(changes: Mapping[tuple[str, str], BySeed]) -> BySeed:
    """The results with the reference knowledge base; none if all of these cells failed."""
    return next((found for (factor, _), found in changes.items() if factor == REFERENCE), {})


def worth(found: Iterable[Factor]) -> bool:
    """Whether there is anything but indexes to attribute a gain to."""
    return any(factor.factor not in (REFERENCE, "backend") for factor in found)


def _factor(record: Record, factor: str, level: str, found: BySeed, reference: BySeed) -> Factor:
    metric, split = record.select_on, record.tests[0]
    shared = [(found[seed], reference[seed]) for seed in sorted(found) if seed in reference]

    def over(value: Callable[[RetrievalResult], float]) -> Summary:
        return summarise(value(found[seed]) for seed in sorted(found))

    to_reference = None
    if factor != REFERENCE:
        to_reference = summarise(
            one.chosen.scores[split][metric] - other.chosen.scores[split][metric]
            for one, other in shared
        )
    return Factor(
        task=record.task,
        title=record.title,
        method=record.method,
        factor=factor,
        level=level,
        on=over(lambda r: r.chosen.scores[split][metric]),
        gain=over(lambda r: r.chosen.scores[split][metric] - r.off[split][metric]),
        gain_held_out=over(lambda r: r.chosen.scores[HELD_OUT][metric] - r.off[HELD_OUT][metric]),
        to_reference=to_reference,
        loss=over(lambda r: loss_of(r.chosen.loss[split])),
        loss_change=over(lambda r: loss_of(r.chosen.loss[split]) - loss_of(r.off_loss[split])),
        beta=[found[seed].chosen.beta for seed in sorted(found)],
        n=len(found),
    )


def loss_of(values: Mapping[str, float]) -> float:
    """The one loss of a split, whatever it is called."""
    return next(iter(values.values()))


def gain_table(found: list[Factor]) -> Table:
    """What every change gains, a column per method."""
    notes = (
        "Test split, in points: score with that knowledge base (or that control) minus the score "
        "of the same student alone; k, beta and tau chosen on held-out for each entry. One change "
        "at a time beside the reference. 0 may mean that beta = 0 was chosen: not to use it.",
        "Shuffled labels and random keys must not help, for they can only tell the prior of the "
        "labels: what they gain is that, the choice among settings, and chance. A gain of "
        "retrieval begins above them. The second head sees what the knowledge base holds, but "
        "looks nothing up. Chosen settings, held-out gains and scores: results.json, attribution.",
    )
    return pivot("Attribution of the gain", found, lambda f: points(f.gain, sign=True), notes)


def loss_table(found: list[Factor]) -> Table:
    """What every change does to the loss, a column per method."""
    notes = (
        "Test split: mean negative log-likelihood of the answers in nats (squared error for a "
        "regression) minus that of the same student alone; negative is better. Settings are "
        "chosen by the score, not by this.",
        "Temperature scaling cannot change an answer, so here is where it counts.",
    )
    return pivot("Change of the loss", found, lambda f: nats(f.loss_change, sign=True), notes)


def pivot(
    title: str, found: list[Factor], figure: Callable[[Factor], str], notes: tuple[str, ...]
) -> Table:
    """A row per change, a column per method; ``figure`` is what stands in a cell."""
    methods = tuple(dict.fromkeys(factor.method for factor in found))
    rows: dict[tuple[str, str, str], dict[str, Factor]] = {}
    for factor in found:
        rows.setdefault((factor.title, factor.factor, factor.level), {})[factor.method] = factor
    cells = tuple(
        (*at, *(figure(row[m]) if m in row else EMPTY for m in methods), _seeds(row.values()))
        for at, row in rows.items()
    )
    return Table(title, ("task", "changed", "to", *methods, "n"), cells, 3, notes)


def _seeds(found: Iterable[Factor]) -> str:
    return each(sorted({factor.n for factor in found}))
