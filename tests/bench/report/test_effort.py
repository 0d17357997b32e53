"""The cost of training: medians, passes, and what they are relative to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.records.run import Record, Stage
from bench.report.effort import Effort, effort_table, efforts
from bench.report.table import EMPTY
from tests.bench.report import factory


def trained(method: str, seed: int = 0, seconds: float = 30.0, **cost: Any) -> Record:
    made = factory.training(method=method, seed=seed)
    assert made.training is not None
    own = made.training.cost.model_copy(update=cost)
    training = made.training.model_copy(update={"seconds": seconds, "cost": own})
    return made.model_copy(update={"training": training})


def measured(folder: Path, *records: Record) -> dict[str, Effort]:
    return {e.method: e for e in efforts(factory.results(folder, records))}


def test_passes_are_examples_over_the_rows_of_fit(tmp_path: Path) -> None:
    found = measured(tmp_path, trained("kd", student_forwards=3301 * 6, teacher_forwards=3301 * 2))
    assert found["kd"].student_forwards == 6
    assert found["kd"].teacher_forwards == 2
    assert found["kd"].cached_forwards == 1


def test_relative_time_counts_the_stages(tmp_path: Path) -> None:
    stage = Stage(stage="assistant", seconds=20.0, forwards=1, backwards=1)
    found = measured(
        tmp_path,
        trained("finetune", seconds=25.0, stages=[]),
        trained("takd", seconds=30.0, stages=[stage]),
    )
    assert found["takd"].relative == pytest.approx(2.0)
    assert found["finetune"].relative == 1.0
    assert found["takd"].stages == ("assistant",)


def test_without_the_reference_nothing_is_relative(tmp_path: Path) -> None:
    found = measured(tmp_path, trained("kd"))
    assert found["kd"].relative is None
    assert effort_table(list(found.values())).rows[0][5] == EMPTY


def test_it_is_the_median_over_seeds(tmp_path: Path) -> None:
    records = [trained("kd", seed, seconds) for seed, seconds in enumerate((10.0, 90.0, 20.0))]
    found = measured(tmp_path, *records)
    assert (found["kd"].seconds, found["kd"].n) == (20.0, 3)


def test_unknown_memory_is_empty(tmp_path: Path) -> None:
    found = measured(tmp_path, trained("kd", peak_bytes=None))
    assert effort_table(list(found.values())).rows[0][-2] == EMPTY
