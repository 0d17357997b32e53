"""Laws of what the report says about training."""

from __future__ import annotations

from pathlib import Path

from bench.report.students import training_table, trainings

from tests.bench.report import factory


def test_the_teachers_training_has_its_own_row(tmp_path: Path) -> None:
    found = trainings(factory.results(tmp_path, factory.matrix()))
    assert [(row.task, row.method) for row in found] == [
        (task, method) for task in ("mrpc", "stsb") for method in ("teacher", "kd", "reaugkd")
    ]
    assert found[0].seconds.mean == 60
    assert (found[0].n, found[1].n) == (1, 3)
    assert training_table(found).rows[1][2] == "teacher@0,2,4"


def test_epochs_are_listed_by_seed(tmp_path: Path) -> None:
    first = factory.training().training
    assert first is not None
    results = [
        factory.training(seed=s, training=first.model_copy(update={"best_epoch": 3 - s}))
        for s in (2, 0, 1)
    ]
    assert trainings(factory.results(tmp_path, results))[1].best_epoch == [3, 2, 1]
