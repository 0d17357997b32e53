"""Intervals of what is changed about a knowledge base, paired with the reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.records.store import Store
from bench.report.attribution import REFERENCE, Factor, factors
from bench.report.document import build
from bench.report.examples import Examples
from bench.report.reference import reference_table, with_intervals
from bench.report.results import Cell, Planned, Results
from bench.report.table import EMPTY
from bench.stats.difference import holm
from tests.bench.report import factory

LABELS = factory.truth()
AXES = ("backend", "keys", "values", "share", "control")


def base(seed: int, right: float, **changes: object) -> factory.Kept:
    """A student with the reference knowledge base, or with ``changes`` of it."""
    made = factory.retrieval(seed=seed, backend="exact")
    assert made.retrieval is not None
    key = "-".join([made.key, *map(str, changes.values())])
    result = made.retrieval.model_copy(update=changes)
    made = made.model_copy(update={"key": key, "retrieval": result})
    return factory.answered(made, factory.guesses(LABELS, right, seed), LABELS)


def bases(seeds: Sequence[int], right: float, **changes: object) -> list[factory.Kept]:
    return [base(seed, right, **changes) for seed in seeds]


def run(folder: Path, found: list[factory.Kept]) -> Results:
    """As they would be read; the factory's plan does not know of such changes."""
    store, cells = Store(folder), []
    store.create()
    for record, arrays in found:
        store.write(record, arrays)
        own = {name: getattr(record.retrieval, name) for name in AXES} if record.retrieval else {}
        plan = Planned(
            key=record.key,
            kind=record.kind,
            task=record.task,
            method=record.method,
            seed=record.seed,
            **own,
        )
        cells.append(Cell(plan, "ok", "", record))
    run = {"config": {"retrieval": {"design": "one-at-a-time"}}}
    return Results(folder, run, tuple(cells), 0, ())


def students(*seeds: int) -> list[factory.Kept]:
    return factory.contest({"reaugkd": 0.7}, seeds)


def found(results: Results) -> list[Factor]:
    return with_intervals(factors(results), results, Examples(results))


def test_the_interval_is_around_the_paired_mean(tmp_path: Path) -> None:
    seeds = (0, 1, 2)
    cells = [*bases(seeds, 0.8), *bases(seeds, 0.7, values="hard")]
    reference, hard = found(run(tmp_path, [*students(*seeds), *cells]))
    assert (reference.factor, reference.from_reference) == (REFERENCE, None)
    one = hard.from_reference
    assert one is not None
    assert hard.to_reference is not None
    assert hard.to_reference.mean is not None
    assert one.estimate == pytest.approx(hard.to_reference.mean, abs=1e-9)
    assert one.sd == pytest.approx(hard.to_reference.sd, abs=1e-9)
    assert one.low is not None
    assert one.high is not None
    assert one.low < one.estimate < one.high < 0


def test_the_same_answers_do_not_differ_and_the_table_says_so(tmp_path: Path) -> None:
    cells = [*bases((0, 1), 0.8), *bases((0, 1), 0.8, share=0.5)]
    rows = found(run(tmp_path, [*students(0, 1), *cells]))
    table = reference_table(rows)
    assert table is not None
    assert table.rows == (("MRPC", "share", "50 %", "+0.00 [+0.00, +0.00]", "2"),)


def test_one_seed_has_no_interval_and_no_table(tmp_path: Path) -> None:
    rows = found(run(tmp_path, [*students(0), base(0, 0.8), base(0, 0.7, share=0.5)]))
    difference = rows[1].from_reference
    assert difference is not None
    assert (difference.seeds, difference.low) == (1, None)
    assert reference_table(rows) is None


def test_outputs_that_are_missing_leave_the_means_as_they_are(tmp_path: Path) -> None:
    cells = [*bases((0, 1), 0.8), *bases((0, 1), 0.7, share=0.5)]
    results = run(tmp_path, [*students(0, 1), *cells])
    whole = found(results)
    for path in (tmp_path / "cells").glob("r-*0.5.npz"):
        path.unlink()
    rows = found(results)
    assert [replace(row, from_reference=None) for row in rows] == factors(results)
    assert whole[1].from_reference is not None
    assert rows[1].from_reference is None


def test_it_stands_in_the_report_beside_the_gain(tmp_path: Path) -> None:
    cells = [*bases((0, 1), 0.8), *bases((0, 1), 0.7, share=0.5)]
    made = build(run(tmp_path, [*students(0, 1), *cells]))
    titles = [table.title for table in made.tables]
    at = titles.index("Attribution of the gain")
    assert titles[at + 1] == "Difference from the reference"
    (row,) = made.tables[at + 1].rows
    assert row[3] != EMPTY
    assert made.data["attribution"][1]["from_reference"]["seeds"] == 2


def test_what_holds_beside_all_others_is_marked_and_nothing_else(tmp_path: Path) -> None:
    seeds = (0, 1, 2)
    cells = [*bases(seeds, 0.8), *bases(seeds, 0.4, values="hard"), *bases(seeds, 0.8, share=0.5)]
    rows = found(run(tmp_path, [*students(*seeds), *cells]))
    tested = [row.from_reference.p for row in rows if row.from_reference]
    assert [row.adjusted for row in rows] == [None, *holm(tested)]
    table = reference_table(rows)
    assert table is not None
    assert [row[3].endswith(" *") for row in table.rows] == [True, False]
    assert "for the 2 tests of this table" in table.notes[1]
