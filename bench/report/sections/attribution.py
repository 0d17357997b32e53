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

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from pandas import DataFrame

from bench.records.base import NONE, cheaper, percent, skipping
from bench.records.planned import Planned
from bench.records.results import CELL_AXES, CHEAPER, HELD_OUT, Results
from bench.records.run import ControlResult, Record, RetrievalResult, Scores
from bench.report.charts import differences
from bench.report.examples import SECOND_HEAD, TEMPERATURE, StudentAnswers, with_base, with_control
from bench.report.frame import Row, rows, typed
from bench.report.inputs import RunInputs
from bench.report.paired import Paired
from bench.report.section import TASK, Column, Section, View, across
from bench.report.sections.plain import grouped
from bench.report.summary import each, nats, points, summarise
from bench.report.verdict import marked
from bench.stats.difference import LEVEL, RESAMPLES, Difference, holm

REFERENCE, SEVERAL, NO_BASE = "reference", "several", "no knowledge base"
SCALED, HEAD = "temperature-scaled student", "second head"
CONTROLS = {TEMPERATURE: SCALED, SECOND_HEAD: HEAD}
"""Array of a control -> its level."""

AXES = tuple(axis for axis in CELL_AXES if axis not in CHEAPER)
Losses = Mapping[str, Mapping[str, float]]


class Changed(NamedTuple):
    """One student with a knowledge base, or with a control, and the same student alone.

    Scores by the task's selection metric and losses are of the first test split.
    """

    answer: StudentAnswers
    on: float
    off: float
    gain_held_out: float
    loss: float
    off_loss: float
    beta: float | None


BySeed = Mapping[int, Changed]
Changes = dict[tuple[str, str], dict[int, Changed]]
"""(factor, level) -> seed -> student."""


def changes(results: Results) -> dict[tuple[str, str], Changes]:
    """(task, method) -> its changes: knowledge bases in the order of the plan, then controls."""
    answered = [r for r in results.records if r.status == "ok" and (r.retrieval or r.controls)]
    students: dict[tuple[str, str], Changes] = {(r.task, r.method): {} for r in answered}

    def add(record: Record, change: tuple[str, str], student: Changed) -> None:
        students[record.task, record.method].setdefault(change, {})[record.seed] = student

    for record in answered:
        if retrieval := record.retrieval:
            reference = results.references[record.task, record.method, record.seed]
            if any(getattr(retrieval, name) != getattr(reference, name) for name in CHEAPER):
                continue  # what that saves and loses stands in a section of its own
            answer, chosen = with_base(record, retrieval), retrieval.chosen
            student = _changed(answer, chosen.loss, retrieval.off, retrieval.off_loss, chosen.beta)
            add(record, change_of(reference, retrieval), student)
    for array, level in CONTROLS.items():
        for record in answered:
            if record.controls and (controlled := _controlled(record, record.controls, array)):
                add(record, (NO_BASE, level), controlled)
    return students


def _controlled(record: Record, controls: ControlResult, array: str) -> Changed | None:
    answer = with_control(record, controls).get(array)
    if answer is None:
        return None
    head, scaled = controls.second_head, controls.temperature
    if array == TEMPERATURE and scaled:
        losses = scaled.answers.loss
        return _changed(answer, losses, controls.off.scores, controls.off.loss, None)
    losses = head.mixed.loss
    return _changed(answer, losses, controls.off.scores, controls.off.loss, head.beta)


def _changed(
    answer: StudentAnswers,
    loss: Losses,
    off: Mapping[str, Scores],
    off_loss: Losses,
    beta: float | None,
) -> Changed:
    split, metric = answer.record.tests[0], answer.record.select_on
    held_out = answer.scores[HELD_OUT][metric] - off[HELD_OUT][metric]
    (lost,), (lost_off,) = loss[split].values(), off_loss[split].values()
    on = answer.scores[split][metric]
    return Changed(answer, on, off[split][metric], held_out, lost, lost_off, beta)


def change_of(reference: Planned, result: RetrievalResult) -> tuple[str, str]:
    """(factor, level): what differs from the reference, and what it was changed to."""
    names = [name for name in AXES if getattr(result, name) != getattr(reference, name)]
    if not names:
        words = [_level(result, AXES), *cheaper(result), *skipping(result.skip_rule)]
        return REFERENCE, ", ".join(words)
    return (names[0] if len(names) == 1 else SEVERAL), _level(result, names)


def _level(result: RetrievalResult, names: Iterable[str]) -> str:
    texts = {
        "keys": f"{result.keys} keys",
        "values": f"{result.values} labels",
        "share": percent(result.share),
        "control": "" if result.control == NONE else result.control.replace("-", " "),
        "backend": result.backend,
    }
    return ", ".join(texts[name] for name in names if texts[name])


def reference_of(changed: Changes) -> BySeed:
    """Students with the reference knowledge base; none if all of these cells failed."""
    return next((by_seed for (factor, _), by_seed in changed.items() if factor == REFERENCE), {})


def answers_of(seeds: BySeed) -> dict[int, StudentAnswers]:
    """Seed -> answer."""
    return {seed: student.answer for seed, student in seeds.items()}


def paired(inputs: RunInputs, students: Iterable[Mapping[int, StudentAnswers]]) -> Paired:
    """Answers of one task to its first test split, scored by its selection metric."""
    answers = [answer for by_seed in students for answer in by_seed.values()]
    record = answers[0].record
    return Paired(inputs.examples, answers, record.tests[0], record.select_on)


def worth(frame: DataFrame) -> bool:
    """Whether there is anything but indexes to attribute a gain to."""
    return bool(len(frame)) and not frame["factor"].isin((REFERENCE, "backend")).all()


def _rows(inputs: RunInputs) -> DataFrame:
    students = changes(inputs.results)
    lines = [
        _row(factor, level, by_seed, reference_of(changed))
        for changed in students.values()
        for (factor, level), by_seed in changed.items()
    ]
    tested = [None] * len(lines) if not worth(typed(lines)) else [*_tested(inputs, students)]
    adjusted = holm([difference.p if difference else None for difference in tested])
    return typed(
        {**line, "from_reference": difference, "adjusted": p}
        for line, difference, p in zip(lines, tested, adjusted, strict=True)
    )


def _row(factor: str, level: str, by_seed: BySeed, reference: BySeed) -> dict[str, Any]:
    students = list(by_seed.values())
    record = students[0].answer.record
    shared = summarise(
        by_seed[seed].on - reference[seed].on for seed in by_seed if seed in reference
    )
    return {
        "task": record.task,
        "title": record.title,
        "method": record.method,
        "factor": factor,
        "level": level,
        "on": summarise(student.on for student in students),
        "gain": summarise(student.on - student.off for student in students),
        "gain_held_out": summarise(student.gain_held_out for student in students),
        "to_reference": None if factor == REFERENCE else shared,
        "loss": summarise(student.loss for student in students),
        "loss_change": summarise(student.loss - student.off_loss for student in students),
        "beta": [by_seed[seed].beta for seed in sorted(by_seed)],
        "n": len(by_seed),
    }


def _tested(
    inputs: RunInputs, students: Mapping[tuple[str, str], Changes]
) -> Iterator[Difference | None]:
    """Each row's difference from the reference; None of the reference, and without outputs."""
    of_task = grouped((task, changed) for (task, _), changed in students.items())
    scored = {
        task: paired(
            inputs, (answers_of(by_seed) for changed in all_ for by_seed in changed.values())
        )
        for task, all_ in of_task.items()
    }
    for (task, _), changed in students.items():
        reference = answers_of(reference_of(changed))
        for (factor, _), seeds in changed.items():
            comparison = scored[task].compare(answers_of(seeds), reference)
            yield None if factor == REFERENCE else comparison.difference


LABELS = (TASK, Column("changed", "factor", label=True), Column("to", "level", label=True))
SEEDS = Column("n", lambda row: each(sorted({line.n for line in row.group})))
STARRED = (
    f"p < {LEVEL:g} after Holm's correction for the {{}} tests of this table; any other difference "
    "may be chance"
)

GAIN = (
    "Test split, in points: score with that knowledge base (or that control) minus the score "
    "of the same student alone; k, beta and tau chosen on held-out for each entry. One change "
    "at a time beside the reference. 0 may mean that beta = 0 was chosen: not to use it.",
    "Shuffled labels and random keys must not help, for they can only tell the prior of the "
    "labels: what they gain is that, the choice among settings, and chance. A gain of "
    "retrieval begins above them. The second head sees what the knowledge base holds, but "
    "looks nothing up. Chosen settings, held-out gains and scores: results.json, attribution.",
)
FROM_REFERENCE = (
    "Test split, in points: score with that knowledge base (or that control) minus the score "
    "of the same student with the reference, and the 95 % interval over seeds and examples "
    f"({RESAMPLES:,} resamples of the examples).",
    f"A star: {STARRED}, also where its interval, which is not corrected, leaves out 0.",
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
        tests = sum(row.adjusted is not None for row in rows(changed))
        notes = tuple(note.format(tests) for note in FROM_REFERENCE)
        yield view("Difference from the reference", (*LABELS, *columns, SEEDS), notes, _is_changed)
    losses = across(frame, "method", "loss_change", partial(nats, sign=True))
    yield view("Change of the loss", (*LABELS, *losses, SEEDS), LOSS)


def _is_changed(row: Row) -> bool:
    return bool(row.factor != REFERENCE)


def _star(row: Row) -> str:
    return marked(row.from_reference, row.adjusted)


SECTION = Section(
    "attribution",
    "Attribution",
    _rows,
    _views,
    pictures=lambda frame, _: differences.attribution(frame),
)
