"""What a gain of retrieval is made of: one change of the reference knowledge base at a time.

A row per task, method and change, over seeds, on the first test split. ``factor``: what was
changed, ``reference`` for the knowledge base that the others are compared with, ``no knowledge
base`` for the controls; ``level``: what it was changed to. ``on``: the task's selection metric;
``gain``: that minus the same student alone, ``gain_held_out`` where k, beta and tau were chosen;
``to_reference``: ``on`` minus the reference's, of the same seeds; ``loss``: mean negative
log-likelihood (squared error for a regression), ``loss_change``: that minus the student's own;
``beta``: chosen weight of what was added, by seed; ``from_reference``: ``to_reference`` with its
interval, paired on (seed, example), and ``adjusted``: its p after Holm's correction over all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.pipeline.knowledge_base import NONE, percent
from bench.records.planned import Planned
from bench.records.results import BASE_AXES, HELD_OUT, Results
from bench.records.run import Record, RetrievalResult, Scores
from bench.report.charts import differences
from bench.report.examples import SECOND_HEAD, TEMPERATURE, Answer, with_base, with_control
from bench.report.frame import Row, rows, typed
from bench.report.inputs import RunInputs
from bench.report.paired import Paired
from bench.report.section import TASK, Column, Section, View, across
from bench.report.summary import each, nats, points, summarise
from bench.report.verdict import marked
from bench.stats.difference import LEVEL, RESAMPLES, Difference, holm

if TYPE_CHECKING:
    from pandas import DataFrame

REFERENCE, SEVERAL, NO_BASE = "reference", "several", "no knowledge base"
SCALED, HEAD = "temperature-scaled student", "second head"
CONTROLS = {TEMPERATURE: SCALED, SECOND_HEAD: HEAD}
"""Array of a control -> its level."""

AXES = (*BASE_AXES, "backend")

Losses = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Changed:
    """One student with a knowledge base, or with a control; and the same student alone."""

    answer: Answer
    loss: Losses
    off: Mapping[str, Scores]
    off_loss: Losses
    beta: float | None

    def gain(self, split: str, metric: str) -> float:
        """What was added to the score of the student alone."""
        return self.answer.scores[split][metric] - self.off[split][metric]


BySeed = Mapping[int, Changed]
Changes = dict[tuple[str, str], dict[int, Changed]]
"""(factor, level) -> seed -> student."""


def changes(results: Results) -> dict[tuple[str, str], Changes]:
    """(task, method) -> its changes: knowledge bases in the order of the plan, then controls."""
    answered = [r for r in results.records if r.status == "ok" and (r.retrieval or r.controls)]
    students: dict[tuple[str, str], Changes] = {(r.task, r.method): {} for r in answered}
    for record in answered:
        if record.retrieval:
            planned = results.references[record.task, record.method, record.seed]
            at = change_of(planned, record.retrieval)
            own = students[record.task, record.method].setdefault(at, {})
            own[record.seed] = _based(record, record.retrieval)
    for array, level in CONTROLS.items():
        for record in answered:
            if controlled := _controlled(record, array):
                own = students[record.task, record.method].setdefault((NO_BASE, level), {})
                own[record.seed] = controlled
    return students


def _based(record: Record, result: RetrievalResult) -> Changed:
    answer, chosen = with_base(record, result), result.chosen
    return Changed(answer, chosen.loss, result.off, result.off_loss, chosen.beta)


def _controlled(record: Record, array: str) -> Changed | None:
    controls = record.controls
    answer = with_control(record, controls).get(array) if controls else None
    if controls is None or answer is None:
        return None
    head, scaled = controls.second_head, controls.temperature
    losses = scaled.answers.loss if scaled and array == TEMPERATURE else head.mixed.loss
    beta = None if array == TEMPERATURE else head.beta
    return Changed(answer, losses, controls.off.scores, controls.off.loss, beta)


def change_of(reference: Planned, result: RetrievalResult) -> tuple[str, str]:
    """(factor, level): what differs from the reference, and what it was changed to."""
    names = [name for name in AXES if getattr(result, name) != getattr(reference, name)]
    if not names:
        return REFERENCE, _level(result, AXES)
    return (names[0] if len(names) == 1 else SEVERAL), _level(result, names)


def _level(result: RetrievalResult, names: Iterable[str]) -> str:
    texts = {
        "keys": f"{result.keys} keys",
        "values": f"{result.values} labels",
        "share": percent(result.share),
        "control": result.control.replace("-", " "),
        "backend": result.backend,
    }
    hidden = {"control"} if result.control == NONE else set()
    return ", ".join(texts[name] for name in names if name not in hidden)


def reference_of(changed: Changes) -> BySeed:
    """Students with the reference knowledge base; none if all of these cells failed."""
    return next((own for (factor, _), own in changed.items() if factor == REFERENCE), {})


def loss_of(losses: Mapping[str, float]) -> float:
    """The one loss of a split, whatever it is called."""
    return next(iter(losses.values()))


def worth(frame: DataFrame) -> bool:
    """Whether there is anything but indexes to attribute a gain to."""
    return bool(len(frame)) and not frame["factor"].isin((REFERENCE, "backend")).all()


def _rows(inputs: RunInputs) -> DataFrame:
    students = changes(inputs.results)
    lines = [
        _row(change, own, reference_of(changed))
        for changed in students.values()
        for change, own in changed.items()
    ]
    tested: list[Difference | None] = [None] * len(lines)
    if worth(typed(lines)):
        tested = list(_tested(inputs, students))
    adjusted = holm([one.p if one else None for one in tested])
    return typed(
        {**line, "from_reference": one, "adjusted": p}
        for line, one, p in zip(lines, tested, adjusted, strict=True)
    )


def _row(change: tuple[str, str], own: BySeed, reference: BySeed) -> dict[str, Any]:
    record = next(iter(own.values())).answer.record
    metric, split = record.select_on, record.tests[0]

    def over(value: Callable[[Changed], float]) -> Any:
        return summarise(map(value, own.values()))

    def on(one: Changed) -> float:
        return one.answer.scores[split][metric]

    paired = [(own[seed], reference[seed]) for seed in own if seed in reference]
    to_reference = summarise(on(one) - on(other) for one, other in paired)
    return {
        "task": record.task,
        "title": record.title,
        "method": record.method,
        "factor": change[0],
        "level": change[1],
        "on": over(on),
        "gain": over(lambda one: one.gain(split, metric)),
        "gain_held_out": over(lambda one: one.gain(HELD_OUT, metric)),
        "to_reference": None if change[0] == REFERENCE else to_reference,
        "loss": over(lambda one: loss_of(one.loss[split])),
        "loss_change": over(lambda one: loss_of(one.loss[split]) - loss_of(one.off_loss[split])),
        "beta": [own[seed].beta for seed in sorted(own)],
        "n": len(own),
    }


def _tested(
    inputs: RunInputs, students: Mapping[tuple[str, str], Changes]
) -> Iterator[Difference | None]:
    """Each row's difference from the reference; None of the reference, and without outputs."""
    paired = {}
    for task in dict.fromkeys(task for task, _ in students):
        own = [changed for (name, _), changed in students.items() if name == task]
        answers = [one.answer for c in own for seeds in c.values() for one in seeds.values()]
        record = answers[0].record
        paired[task] = Paired(inputs.examples, answers, record.tests[0], record.select_on)
    for (task, _), changed in students.items():
        reference = answers_of(reference_of(changed))
        for (factor, _), seeds in changed.items():
            one = paired[task].compare(answers_of(seeds), reference)
            yield None if factor == REFERENCE else one.difference


def answers_of(seeds: BySeed) -> dict[int, Answer]:
    """Seed -> answer."""
    return {seed: one.answer for seed, one in seeds.items()}


LABELS = (TASK, Column("changed", "factor", label=True), Column("to", "level", label=True))
SEEDS = Column("n", lambda row: each(sorted({one.n for one in row.group})))

GAIN = (
    "Test split, in points: score with that knowledge base (or that control) minus the score "
    "of the same student alone; k, beta and tau chosen on held-out for each entry. One change "
    "at a time beside the reference. 0 may mean that beta = 0 was chosen: not to use it.",
    "Shuffled labels and random keys must not help, for they can only tell the prior of the "
    "labels: what they gain is that, the choice among settings, and chance. A gain of "
    "retrieval begins above them. The second head sees what the knowledge base holds, but "
    "looks nothing up. Chosen settings, held-out gains and scores: results.json, attribution.",
)
LOSS = (
    "Test split: mean negative log-likelihood of the answers in nats (squared error for a "
    "regression) minus that of the same student alone; negative is better. Settings are "
    "chosen by the score, not by this.",
    "Temperature scaling cannot change an answer, so here is where it counts.",
)


def _views(frame: DataFrame, _: RunInputs) -> Iterator[View]:
    """What every change gains, how far it is from the reference, and what it does to the loss."""
    if not worth(frame):
        return
    view = partial(View, by=("task", "title", "factor", "level"))
    gain = across(frame, "method", "gain", partial(points, sign=True))
    yield view("Attribution of the gain", (*LABELS, *gain, SEEDS), GAIN)
    changed = frame[frame["factor"] != REFERENCE]
    if any(row.from_reference and row.from_reference.seeds > 1 for row in rows(changed)):
        columns = across(changed, "method", lambda row: row if row.from_reference else None, _star)
        notes = _notes(sum(row.adjusted is not None for row in rows(changed)))
        yield view("Difference from the reference", (*LABELS, *columns, SEEDS), notes, _is_changed)
    losses = across(frame, "method", "loss_change", partial(nats, sign=True))
    yield view("Change of the loss", (*LABELS, *losses, SEEDS), LOSS)


def _is_changed(row: Row) -> bool:
    return bool(row.factor != REFERENCE)


def _star(row: Row) -> str:
    return marked(row.from_reference, row.adjusted)


def _notes(tests: int) -> tuple[str, ...]:
    return (
        "Test split, in points: score with that knowledge base (or that control) minus the score "
        "of the same student with the reference, and the 95 % interval over seeds and examples "
        f"({RESAMPLES:,} resamples of the examples).",
        f"A star: p < {LEVEL:g} after Holm's correction for the {tests} tests of this table; any "
        "other difference may be chance, also where its interval, which is not corrected, leaves "
        "out 0.",
    )


SECTION = Section(
    "attribution",
    "Attribution",
    _rows,
    _views,
    pictures=lambda frame, _: differences.attribution(frame),
)
