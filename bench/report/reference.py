"""How far every change of the knowledge base is from the reference, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bench.report.attribution import (
    HEAD,
    NO_BASE,
    REFERENCE,
    SCALED,
    Factor,
    change_of,
    pivot,
)
from bench.report.comparisons import marked
from bench.report.examples import (
    SECOND_HEAD,
    TEMPERATURE,
    BySeed,
    Examples,
    with_base,
    with_control,
)
from bench.report.paired import Paired
from bench.report.results import Results
from bench.report.table import EMPTY, Table
from bench.stats.difference import LEVEL, RESAMPLES, holm

Change = tuple[str, str]
"""(factor, level)."""

LEVELS = {TEMPERATURE: SCALED, SECOND_HEAD: HEAD}


def with_intervals(found: Sequence[Factor], results: Results, examples: Examples) -> list[Factor]:
    """``found`` with ``from_reference``, paired on (seed, example) of the first test split.

    Holm's correction is over all rows, methods and tasks: they stand in one table.
    """
    answers = _answers(results)
    paired = {
        task: _paired(examples, [own for (t, _), own in answers.items() if t == task])
        for task in dict.fromkeys(task for task, _ in answers)
    }
    made = []
    for factor in found:
        own = answers[factor.task, factor.method]
        reference = next((seeds for (name, _), seeds in own.items() if name == REFERENCE), {})
        difference = None
        if factor.factor != REFERENCE:
            one = own[factor.factor, factor.level]
            difference = paired[factor.task].compare(one, reference).difference
        made.append(replace(factor, from_reference=difference))
    adjusted = holm([one.from_reference.p if one.from_reference else None for one in made])
    return [replace(one, adjusted=p) for one, p in zip(made, adjusted, strict=True)]


def _answers(results: Results) -> dict[tuple[str, str], dict[Change, BySeed]]:
    """(task, method) -> (factor, level) -> seed -> answer."""
    found: dict[tuple[str, str], dict[Change, BySeed]] = {}
    for record in results.records:
        if record.status != "ok":
            continue
        own = found.setdefault((record.task, record.method), {})
        if record.retrieval:
            planned = results.references[record.task, record.method, record.seed]
            at = change_of(planned, record.retrieval)
            own.setdefault(at, {})[record.seed] = with_base(record, record.retrieval)
        if record.controls:
            for array, answer in with_control(record, record.controls).items():
                own.setdefault((NO_BASE, LEVELS[array]), {})[record.seed] = answer
    return {at: own for at, own in found.items() if own}


def _paired(examples: Examples, own: Sequence[dict[Change, BySeed]]) -> Paired:
    answers = [one for changes in own for seeds in changes.values() for one in seeds.values()]
    record = answers[0].record
    return Paired(examples, answers, record.tests[0], record.select_on)


def reference_table(found: Sequence[Factor]) -> Table | None:
    """Differences from the reference, a column per method; None where no interval is known."""
    changed = [factor for factor in found if factor.factor != REFERENCE]
    if not any(factor.from_reference and factor.from_reference.seeds > 1 for factor in changed):
        return None
    tests = sum(factor.adjusted is not None for factor in changed)
    notes = (
        "Test split, in points: score with that knowledge base (or that control) minus the score "
        "of the same student with the reference, and the 95 % interval over seeds and examples "
        f"({RESAMPLES:,} resamples of the examples).",
        f"A star: p < {LEVEL:g} after Holm's correction for the {tests} tests of this table; any "
        "other difference may be chance, also where its interval, which is not corrected, leaves "
        "out 0.",
    )
    return pivot("Difference from the reference", changed, _cell, notes)


def _cell(factor: Factor) -> str:
    found = factor.from_reference
    return EMPTY if found is None else marked(found, factor.adjusted)
