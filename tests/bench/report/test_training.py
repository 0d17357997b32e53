"""The cost of training, how students were trained, and their curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.records.run import Record, Stage
from bench.report.frame import Row
from bench.report.inputs import RunInputs
from bench.report.sections import training
from bench.report.table import EMPTY
from tests.bench.report import factory
from tests.bench.report.shown import column, lines, titled


def trained(method: str, seed: int = 0, cost: dict[str, Any] | None = None, **own: Any) -> Record:
    made = factory.training(method=method, seed=seed)
    assert made.training is not None
    spent = made.training.cost.model_copy(update=cost or {})
    return made.model_copy(
        update={"training": made.training.model_copy(update={"cost": spent, **own})}
    )


def run(folder: Path, *records: Record) -> RunInputs:
    return RunInputs(factory.results(folder, records))


def efforts(folder: Path, *records: Record) -> dict[str, Row]:
    return {row.method: row for row in lines(training.EFFORT, run(folder, *records))}


def test_passes_are_examples_over_the_rows_of_fit(tmp_path: Path) -> None:
    cost = {"student_forwards": 3301 * 6, "teacher_forwards": 3301 * 2}
    kd = efforts(tmp_path, trained("kd", cost=cost))["kd"]
    assert (kd.student_forwards, kd.teacher_forwards, kd.cached_forwards) == (6, 2, 1)


def test_relative_time_counts_the_stages(tmp_path: Path) -> None:
    stage = Stage(stage="assistant", seconds=20.0, forwards=1, backwards=1)
    found = efforts(
        tmp_path,
        trained("finetune", seconds=25.0, cost={"stages": []}),
        trained("takd", seconds=30.0, cost={"stages": [stage]}),
    )
    assert found["takd"].relative == pytest.approx(2.0)
    assert found["finetune"].relative == 1.0
    assert found["takd"].stages == ["assistant"]


def test_what_is_not_known_is_a_dash(tmp_path: Path) -> None:
    made = run(tmp_path, trained("kd", cost={"peak_bytes": None}))
    (table,) = titled(training.EFFORT, made).values()
    assert column(table, "of finetune") == column(table, "peak memory") == [EMPTY]


def test_it_is_the_median_over_seeds(tmp_path: Path) -> None:
    records = [trained("kd", s, seconds=seconds) for s, seconds in enumerate((10.0, 90.0, 20.0))]
    kd = efforts(tmp_path, *records)["kd"]
    assert (kd.seconds, kd.n) == (20.0, 3)


def test_the_teachers_training_has_its_own_row(tmp_path: Path) -> None:
    made = run(tmp_path, *factory.matrix())
    found = lines(training.SECTION, made)
    assert [(row.task, row.method) for row in found] == [
        (task, method) for task in ("mrpc", "stsb") for method in ("teacher", "kd", "reaugkd")
    ]
    assert (found[0].seconds.mean, found[0].n, found[1].n) == (60, 1, 3)
    assert column(titled(training.SECTION, made)["Training"], "initialised from")[1] == (
        "teacher@0,2,4"
    )


def test_curves_have_a_row_per_term_and_epoch_over_the_seeds_that_went_on(tmp_path: Path) -> None:
    def history(*accuracies: float) -> list[dict[str, float]]:
        return [
            {"epoch": float(at), "accuracy": value, "loss/kl": 1 - value, "seconds": 9.0}
            for at, value in enumerate(accuracies, 1)
        ]

    made = run(
        tmp_path,
        trained("kd", 0, history=history(0.5, 0.75)),
        trained("kd", 1, history=history(0.75)),
        trained("rkd", 0),
    )
    rows = {(row.term, row.epoch): row.value for row in lines(training.CURVES, made)}
    assert {at: (value.mean, value.n) for at, value in rows.items()} == {
        ("accuracy", 1.0): (0.625, 2),
        ("accuracy", 2.0): (0.75, 1),
        ("loss/kl", 1.0): (0.375, 2),
        ("loss/kl", 2.0): (0.25, 1),
    }
