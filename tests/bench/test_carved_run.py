"""A test split of train through ``bench run``: what is scored, what decides keys, bad input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.config import DataConfig
from bench.pipeline.student import TaskPipeline
from bench.pipeline.workbench import Workbench
from bench.records.store import Store
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.reporter import Silent
from reaugkd.tasks.mini import DEV_ROWS, TRAIN_ROWS
from tests.bench import runs, test_own_run
from tests.bench.pipeline import test_black_box
from tests.bench.test_bad_input import told


def pipeline(cache: Path, **flags: Any) -> TaskPipeline:
    config = runs.resolved(**flags).tasks["follows"]
    return Workbench(ArtifactStore(cache), Silent(), "test").pipeline(config)


def test_it_is_scored_first_and_dev_beside_it_by_the_choice_of_held_out(carved: Path) -> None:
    for record in runs.records(carved / "out").values():
        assert record.tests == ["test", "dev"]
        if record.training:
            rows = {"fit": 600, "held_out": 200, "test": 600, "dev": DEV_ROWS}
            assert record.training.rows == rows
            assert set(record.training.scores) == {"held_out", "test", "dev"}
            assert f"test is 600 of the {TRAIN_ROWS:,}" in " ".join(record.training.notes)
        if record.retrieval:
            assert record.retrieval.chosen.selected_on == "held_out"
            assert record.retrieval.optimistic.selected_on == "test"
            assert set(record.retrieval.chosen.scores) == {"held_out", "test", "dev"}
    shown = runs.bench("report", carved / "out").output
    assert "mini-follows accuracy test" in shown
    assert "mini-follows accuracy dev" in shown
    assert f"test is 600 of the {TRAIN_ROWS:,} rows of train" in shown


def test_the_outputs_are_of_the_same_test_rows_for_every_student(carved: Path) -> None:
    store = Store(carved / "out")
    keys = [r.key for r in runs.records(carved / "out").values() if r.training]
    labels = [store.arrays(key, ["labels.test"])["labels.test"] for key in keys]
    assert all(np.array_equal(labels[0], other) for other in labels[1:])


def test_students_of_another_test_split_are_other_students(tmp_path: Path) -> None:
    flags: dict[str, Any] = {"methods": ["finetune"], "retrieval__ann": ["exact"]}
    keys = [
        runs.plan(tmp_path, data__test=test, **flags)[0].key
        for test in (None, "train:600", "train:601", "train: 600 ")
    ]
    assert len({*keys}) == 3
    assert keys[1] == keys[3]


def test_settings_that_carve_nothing_are_written_as_before() -> None:
    assert "dev" not in DataConfig().model_dump()
    assert DataConfig(test="train:20 %").test == "train:20%"


def test_one_task_of_several_may_have_it() -> None:
    resolved = runs.resolved(
        tasks=["follows", "tone"], task={"tone": {"data": {"test": "train:600"}}}
    )
    tests = {task: config.data.test for task, config in resolved.tasks.items()}
    assert tests == {"follows": None, "tone": "train:600"}


def test_what_a_black_box_says_of_train_is_scored_on_its_test_rows_too(tmp_path: Path) -> None:
    said = tmp_path / "said.parquet"
    frame = test_black_box.table()
    frame.to_parquet(said)
    teacher = pipeline(
        tmp_path, teacher__outputs=str(said), data__test="train:50", methods=["kd"]
    ).teacher
    assert set(teacher.said) == {"fit", "held_out", "test"}  # type: ignore[attr-defined]
    rows = np.asarray(teacher.rows.data.tests["test"]["idx"])
    probabilities = frame.filter(like="p_").to_numpy()[rows]
    logits = teacher.said["test"].logits  # type: ignore[attr-defined]
    assert np.array_equal(logits.argmax(axis=1), probabilities.argmax(axis=1))


def test_a_file_of_ones_own_stands_beside_it(tmp_path: Path) -> None:
    words = test_own_run.write(tmp_path / "data")
    at = words.index("--test")
    file = words[at + 1]
    words[at + 1] = "train:20%"
    for dev, rows in ((["--dev", file], ", dev 150"), ([], "")):
        done = test_own_run.run(tmp_path, *words, *dev, "--dry-run")
        assert done.exit_code == 0, done.output
        assert f"rows: fit 359, held_out 200, test 140{rows}\n" in done.output
        assert "test is 140 of the 700 rows of train" in done.output
        assert "left out because they stand in test rows: 1\n" in done.output
    words[at + 1] = file
    told(test_own_run.run(tmp_path, *words, "--dev", file), "data.dev stands beside")


@pytest.mark.parametrize(
    ("test", "words"),
    [
        ("train:0", ("data.test", "'train:0' has no row", "train:4000")),
        ("train:many", ("data.test", "'train:many'", "train:20%")),
        ("train:100%", ("data.test", "no part of train")),
        ("trian:500", ("data.test = 'trian:500'", "--train", "'train:4000'")),
        ("train:9000", ("9,000 of the 8,000 rows", "1 to 7,994")),
        ("train:7990", ("train without train:7990", "rows of class")),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, test: str, words: tuple[str, ...]) -> None:
    limit = ("--limit", 2) if test == "train:7990" else ()
    told(runs.run(tmp_path, "--test", test, *limit, "--dry-run"), *words)
