"""Laws of what alignment adds: paired on seed and example, corrected, marked where it holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.report.alignment import BETWEEN, Corner, corner_table, corners, with_intervals
from bench.report.examples import Examples
from bench.report.paired import Paired
from bench.report.results import Results, load
from bench.report.scores import OFF
from bench.stats.difference import holm
from tests.bench.report import factory

LABELS = factory.truth()
SEEDS = (0, 1, 2)


def run(folder: Path, shares: dict[str, tuple[float, float]]) -> Results:
    """Method -> how often its student is right alone, and with the reference knowledge base."""
    found: list[factory.Kept] = []
    for method, (off, on) in shares.items():
        for seed in SEEDS:
            student = factory.training("mrpc", method, seed)
            alone = factory.answered(student, factory.guesses(LABELS, off, seed), LABELS)
            base = factory.retrieval(method=method, seed=seed, backend="exact")
            assert alone[0].training is not None
            assert base.retrieval is not None
            result = base.retrieval.model_copy(update={"off": alone[0].training.scores})
            base = base.model_copy(update={"retrieval": result})
            found += [alone, factory.answered(base, factory.guesses(LABELS, on, seed), LABELS)]
    return load(factory.kept(folder, found))


def added(results: Results) -> Corner:
    (row,) = [
        row
        for row in with_intervals(corners(results), results, Examples(results))
        if row.method == BETWEEN
    ]
    return row


def test_intervals_are_around_the_paired_means(tmp_path: Path) -> None:
    row = added(run(tmp_path, {"kd": (0.6, 0.65), "reaugkd": (0.7, 0.9)}))
    for value, tested in (
        (row.off, row.off_tested),
        (row.on, row.on_tested),
        (row.gain, row.gain_tested),
    ):
        assert tested is not None
        one = tested.difference
        assert one.estimate == pytest.approx(value.mean, abs=1e-9)
        assert one.sd == pytest.approx(value.sd, abs=1e-9)
        assert one.low is not None
        assert one.high is not None
        assert one.low < one.estimate < one.high


def test_two_columns_are_compared_as_everywhere(tmp_path: Path) -> None:
    results = run(tmp_path, {"kd": (0.6, 0.65), "reaugkd": (0.7, 0.9)})
    columns = Examples(results).columns
    one, other = columns["mrpc", "reaugkd", OFF], columns["mrpc", "kd", OFF]
    answers = [*one.values(), *other.values()]
    paired = Paired(Examples(results), answers, "dev", "accuracy")
    known = paired.compare(one, other).difference
    assert paired.contrast((1, one), (-1, other)) == known
    tested = added(results).off_tested
    assert tested is not None
    assert tested.difference == known


def test_the_gain_of_a_gain_is_exactly_0_where_retrieval_does_nothing(tmp_path: Path) -> None:
    row = added(run(tmp_path, {"kd": (0.6, 0.6), "reaugkd": (0.7, 0.7)}))
    assert row.gain_tested is not None
    one = row.gain_tested.difference
    assert (one.estimate, one.low, one.high, one.p) == (0.0, 0.0, 0.0, 1.0)


def test_a_star_is_a_p_that_holds_after_the_correction(tmp_path: Path) -> None:
    row = added(run(tmp_path, {"kd": (0.5, 0.55), "reaugkd": (0.95, 0.97)}))
    tests = [row.off_tested, row.on_tested, row.gain_tested]
    p = [one.difference.p for one in tests if one]
    assert [one.adjusted for one in tests if one] == holm(p)
    table = corner_table([row])
    assert [cell.endswith(" *") for cell in table.rows[0][2:5]] == [True, True, False]
    assert "for the 3 tests of this table" in table.notes[-1]


def test_without_outputs_the_means_stand_as_they_are(tmp_path: Path) -> None:
    results = run(tmp_path, {"kd": (0.6, 0.65), "reaugkd": (0.7, 0.9)})
    for path in (tmp_path / "cells").glob("t-mrpc-kd-*.npz"):
        path.unlink()
    row = added(results)
    assert (row.off_tested, row.gain_tested) == (None, None)
    assert replace(row, on_tested=None) in corners(results)
    cells = corner_table([row]).rows[0]
    assert "±" in cells[2]
    assert "[" in cells[3]
