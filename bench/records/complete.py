"""Whether a record of a finished cell holds what all its readers count on.

The schema cannot say it: which splits and metrics there must be is in the record itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bench.records.run import Record, Scores

HELD_OUT = "held_out"


def lacking(record: Record) -> str | None:
    """The first thing that is not there, in words; None if nothing is missing."""
    if record.status != "ok":
        return None
    names = {"training": "training", "retrieval": "retrieval", "control": "controls"}
    present = [kind for kind, name in names.items() if getattr(record, name) is not None]
    if present != [record.kind]:
        return f"a finished {record.kind} cell with {' and '.join(present) or 'no'} results"
    if not record.tests:
        return "tests: no split"
    return next(_missing(record), None)


def _missing(record: Record) -> Iterator[str]:
    """Everything that a reader would miss, part by part."""
    if result := record.training:
        yield from _scores(record, "training.scores", result.scores)
        if not result.rows.get("fit"):
            yield "training.rows: none of fit"
        if any("epoch" not in row for row in result.history):
            yield "training.history: a row without its epoch"
    if base := record.retrieval:
        yield from _scores(record, "retrieval.off", base.off)
        yield from _scores(record, "retrieval.chosen.scores", base.chosen.scores)
        # What was chosen on a test split need not be known on held-out.
        leak, name = base.optimistic, "retrieval.optimistic"
        yield from _scores(record, f"{name}.scores", leak.scores, held=False)
        if leak.selected_on not in record.tests:
            yield f"{name}.selected_on: {leak.selected_on} is no test split"
        yield from _loss(record, "retrieval.off_loss", base.off_loss)
        yield from _loss(record, "retrieval.chosen.loss", base.chosen.loss)
        if not base.ks:
            yield "retrieval.ks: empty"
    if controls := record.controls:
        answers = {"off": controls.off, "second_head.mixed": controls.second_head.mixed}
        if controls.temperature:
            answers["temperature.answers"] = controls.temperature.answers
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
