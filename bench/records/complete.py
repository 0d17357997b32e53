"""Whether a record of a finished cell holds what all its readers count on.

The schema cannot say it: which splits and metrics there must be is in the record itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bench.records.run import (
    Answers,
    ControlResult,
    Record,
    RetrievalResult,
    Scores,
    TrainingResult,
)

HELD_OUT = "held_out"


def lacking(record: Record) -> str | None:
    """The first thing that is not there, in words; None if nothing is missing."""
    if record.status != "ok":
        return None
    results = {
        "training": record.training,
        "retrieval": record.retrieval,
        "control": record.controls,
    }
    present = [name for name, result in results.items() if result is not None]
    if present != [record.kind]:
        return f"a finished {record.kind} cell with {' and '.join(present) or 'no'} results"
    if not record.tests:
        return "tests: no split"
    return next(_missing(record), None)


def _missing(record: Record) -> Iterator[str]:
    if record.training:
        yield from _of_training(record, record.training)
    if record.retrieval:
        yield from _of_retrieval(record, record.retrieval)
    if record.controls:
        yield from _of_controls(record, record.controls)


def _of_training(record: Record, result: TrainingResult) -> Iterator[str]:
    yield from _scores(record, "training.scores", result.scores)
    if not result.rows.get("fit"):
        yield "training.rows: none of fit"
    if any("epoch" not in row for row in result.history):
        yield "training.history: a row without its epoch"


def _of_retrieval(record: Record, result: RetrievalResult) -> Iterator[str]:
    yield from _scores(record, "retrieval.off", result.off)
    yield from _scores(record, "retrieval.chosen.scores", result.chosen.scores)
    # What was chosen on a test split need not be known on held-out.
    yield from _scores(record, "retrieval.optimistic.scores", result.optimistic.scores, held=False)
    if result.optimistic.selected_on not in record.tests:
        yield f"retrieval.optimistic.selected_on: {result.optimistic.selected_on} is no test split"
    yield from _loss(record, "retrieval.off_loss", result.off_loss)
    yield from _loss(record, "retrieval.chosen.loss", result.chosen.loss)
    if not result.ks:
        yield "retrieval.ks: empty"


def _of_controls(record: Record, result: ControlResult) -> Iterator[str]:
    answers: dict[str, Answers] = {"off": result.off, "second_head.mixed": result.second_head.mixed}
    if result.temperature:
        answers["temperature.answers"] = result.temperature.answers
    for name, answer in answers.items():
        yield from _scores(record, f"controls.{name}.scores", answer.scores)
        yield from _loss(record, f"controls.{name}.loss", answer.loss)


def _scores(
    record: Record, name: str, scores: Mapping[str, Scores], *, held: bool = True
) -> Iterator[str]:
    for split in (*([HELD_OUT] if held else []), *record.tests):
        if record.select_on not in scores.get(split, {}):
            yield f"{name}: no {record.select_on} of {split}"


def _loss(record: Record, name: str, losses: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    for split in record.tests:
        if not losses.get(split):
            yield f"{name}: none of {split}"
