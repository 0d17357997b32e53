"""``precision = "auto"``: decided before anything is keyed, once per run, never left in a key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import pytest

from bench.cell import Cell
from bench.pipeline import precision
from bench.pipeline.workbench import Workbench
from bench.records.store import Store
from reaugkd.artifacts.store import ArtifactStore
from reaugkd.errors import UserError
from reaugkd.reporter import Silent
from reaugkd.training import precision as steps
from reaugkd.training.precision import StepTimes
from tests.bench import runs

AUTO = {"teacher__recipe__precision": "auto", "student__recipe__precision": "auto"}
FLAGS = ("--set", "teacher.recipe.precision=auto", "--set", "student.recipe.precision=auto")
SLOW, FAST = StepTimes(fp32=(1.0,), bf16=(1.4,)), StepTimes(fp32=(2.0,), bf16=(1.0,))


class Timer:
    """Stands for ``time_steps``: the times to give, and how often it was asked."""

    def __init__(self) -> None:
        self.times, self.asked = SLOW, 0

    def __call__(self, *_: Any, **__: Any) -> StepTimes:
        self.asked += 1
        return self.times


@pytest.fixture
def timer(monkeypatch: pytest.MonkeyPatch) -> Timer:
    timer = Timer()
    monkeypatch.setattr(steps, "time_steps", timer)
    return timer


@pytest.fixture
def no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("it must not be timed")

    monkeypatch.setattr(steps, "time_steps", refuse)


def decide(
    folder: Path, earlier: precision.Kept | None = None, *, may_time: bool = True, **flags: Any
) -> precision.Decisions:
    workbench = Workbench(ArtifactStore(folder / "cache"), Silent(), "test")
    tasks = runs.resolved(**{**AUTO, **flags}).tasks
    return precision.decide(tasks, workbench, earlier or {}, may_time=may_time)


def chosen(decisions: precision.Decisions) -> tuple[str, str]:
    (config,) = decisions.tasks.values()
    return config.teacher.recipe.precision, config.student.recipe.precision


def elsewhere(decisions: precision.Decisions) -> dict[str, Any]:
    """What a run keeps whose answers come from another machine."""
    kept: dict[str, Any] = json.loads(json.dumps(decisions.kept))
    for answer in kept["follows"].values():
        answer["question"]["machine"]["processor"] = "another CPU"
    return kept


# --- deciding -------------------------------------------------------------------------------------


def test_each_model_of_a_task_is_timed_once_and_its_answer_kept(
    tmp_path: Path, timer: Timer
) -> None:
    timer.times = FAST
    first = decide(tmp_path)
    assert chosen(first) == ("bf16", "bf16")
    assert timer.asked == 2
    again = decide(tmp_path)
    assert again.tasks == first.tasks
    assert again.kept == first.kept
    assert timer.asked == 2
    assert all("2.00x the speed of fp32 (timed now)" in line for line in first.lines)
    assert all("(timed before)" in line for line in again.lines)


def test_what_is_said_is_not_asked(tmp_path: Path, no_timer: None) -> None:
    said = dict.fromkeys(AUTO, "bf16")
    assert decide(tmp_path, **said) == (runs.resolved(**said).tasks, [], {})


def test_tasks_that_batch_alike_share_an_answer(tmp_path: Path, timer: Timer) -> None:
    both = decide(tmp_path, tasks=["follows", "alike"])
    lengths = {
        answer["question"]["batch"]["tokens"]
        for roles in both.kept.values()
        for answer in roles.values()
    }
    assert timer.asked == 2 * len(lengths)
    assert len(both.lines) == 4


@pytest.mark.usefixtures("no_timer")
def test_a_teacher_that_is_not_trained_or_not_needed_is_run_in_fp32(tmp_path: Path) -> None:
    flags = {"methods": ["finetune"], "student__recipe__precision": "fp32"}
    alone = decide(tmp_path, **flags)
    assert (chosen(alone), alone.kept) == (("fp32", "fp32"), {})
    assert "no method here needs it" in alone.lines[0]
    untrained = decide(tmp_path, teacher__recipe__epochs=0, student__recipe__precision="bf16")
    assert (chosen(untrained), untrained.kept) == (("fp32", "bf16"), {})
    assert "not trained here" in untrained.lines[0]


@pytest.mark.usefixtures("no_timer")
def test_without_leave_to_time_it_is_planned_as_fp32_and_said(tmp_path: Path) -> None:
    shown = decide(tmp_path, may_time=False)
    assert (chosen(shown), shown.kept) == (("fp32", "fp32"), {})
    assert all("has not been timed here yet: planned as fp32" in line for line in shown.lines)


def test_a_run_goes_on_as_it_began_on_another_machine_too(tmp_path: Path, timer: Timer) -> None:
    timer.times = FAST
    began = elsewhere(decide(tmp_path / "there"))
    timer.times = SLOW
    resumed = decide(tmp_path / "here", began)
    assert chosen(resumed) == ("bf16", "bf16")
    assert resumed.kept == began
    assert timer.asked == 2
    assert all("which began on another CPU" in line for line in resumed.lines)
    assert chosen(decide(tmp_path / "here")) == ("fp32", "fp32")  # another run asks this machine


def test_another_model_in_the_same_folder_is_timed(tmp_path: Path, timer: Timer) -> None:
    timer.times = FAST
    began = decide(tmp_path).kept
    timer.times = SLOW
    other = decide(tmp_path, began, student__model__config__hidden_size=16)
    assert chosen(other) == ("bf16", "fp32")
    assert timer.asked == 3
    assert other.kept["follows"]["teacher"] == began["follows"]["teacher"]


@pytest.mark.parametrize("damaged", [{}, {"times": {"fp32": [], "bf16": [1.0]}}, "bf16", 3])
def test_a_damaged_answer_of_the_run_is_named(tmp_path: Path, damaged: Any) -> None:
    with pytest.raises(UserError, match=r"precision\.follows\.teacher: .* remove it to time anew"):
        decide(tmp_path, {"follows": {"teacher": damaged}})


def test_a_model_that_reads_too_little_is_told_before_it_is_timed(
    tmp_path: Path, no_timer: None
) -> None:
    with pytest.raises(UserError, match=r"teacher reads 64 tokens, data.max_length is 96"):
        decide(tmp_path, data__max_length=96)


# --- the run --------------------------------------------------------------------------------------


def run(finished: Path, out: Path, cache: Path, *more: object) -> Any:
    file = finished / "small.toml"
    places = ["--config", file, "--cache", cache, "--out", out]
    return runs.bench("run", *places, *FLAGS, *more)


def test_resolved_to_fp32_it_is_the_run_that_says_fp32(
    finished: Path, tmp_path: Path, timer: Timer
) -> None:
    """The keys are those of the finished run, so every student is found in its cache."""
    done = run(finished, tmp_path / "out", finished / "cache", "--methods", "finetune,kd")
    assert done.exit_code == 0, done.output
    assert timer.asked == 2
    mine, said = runs.records(tmp_path / "out"), runs.records(finished / "out")
    assert {name: record.key for name, record in mine.items()} == {
        name: said[name].key for name in mine
    }
    assert "auto" not in json.dumps([record.identity for record in mine.values()])
    plan = Store(tmp_path / "out").read_run()
    assert plan["config"]["student"]["recipe"]["precision"] == "auto"
    assert plan["tasks"]["follows"]["student"]["recipe"]["precision"] == "fp32"
    assert set(plan["precision"]["follows"]) == {"teacher", "student"}


def test_a_student_that_was_timed_is_the_one_that_says_fp32_bit_for_bit(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained in a cache of its own, right after steps were really timed: that leaves no trace."""
    real = steps.time_steps

    def timed(*arguments: Any, **options: Any) -> StepTimes:
        real(*arguments, **options)
        return SLOW

    monkeypatch.setattr(steps, "time_steps", timed)
    done = run(finished, tmp_path / "out", tmp_path / "cache", "--methods", "finetune")
    assert done.exit_code == 0, done.output
    key = runs.records(finished / "out")["finetune"].key
    mine, said = Store(tmp_path / "out").arrays(key), Store(finished / "out").arrays(key)
    assert mine.keys() == said.keys()
    assert all((mine[name] == said[name]).all() for name in said)


@pytest.mark.usefixtures("nothing_trains", "no_timer")
def test_a_dry_run_times_nothing_and_says_so(finished: Path, tmp_path: Path) -> None:
    shown = run(finished, tmp_path / "out", tmp_path / "cache", "--dry-run")
    assert shown.exit_code == 0, shown.output
    assert "student: precision auto has not been timed here yet" in shown.output
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("nothing_trains")
def test_workers_and_cells_are_told_the_answer(
    finished: Path, tmp_path: Path, timer: Timer, monkeypatch: pytest.MonkeyPatch
) -> None:
    timer.times = FAST
    given: list[Cell] = []
    monkeypatch.setattr(
        "bench.executors.pool.run_in_pool", lambda cells, *_, **__: given.extend(cells)
    )
    run(finished, tmp_path / "out", tmp_path / "cache", "--max-workers", 2)
    assert timer.asked == 2
    assert {cell.config.student.recipe.precision for cell in given} == {"bf16"}
    cells = ("--dry-run", "--cells", tmp_path / "cells")
    done = run(finished, tmp_path / "more", tmp_path / "other", *cells)
    assert done.exit_code == 0, done.output
    files = [Cell.model_validate_json(f.read_text()) for f in (tmp_path / "cells").glob("*.json")]
    assert {cell.config.teacher.recipe.precision for cell in files} == {"bf16"}


@pytest.mark.usefixtures("nothing_trains")
def test_a_run_folder_keeps_its_answers(finished: Path, tmp_path: Path, timer: Timer) -> None:
    out, cells = tmp_path / "out", ("--dry-run", "--cells", tmp_path / "cells")
    timer.times = FAST
    run(finished, out, tmp_path / "there", *cells)
    keys = {path.name for path in (tmp_path / "cells").iterdir()}
    timer.times = SLOW
    again = run(finished, out, tmp_path / "here", *cells)
    assert again.output.count("(kept with the run)") == 2, again.output
    assert {path.name for path in (tmp_path / "cells").iterdir()} == keys
    other = run(finished, out, tmp_path / "here", *cells, "--tasks", "alike")
    assert other.exit_code == 0, other.output
    assert set(Store(out).read_run()["precision"]) == {"follows", "alike"}


def test_a_plan_whose_answers_are_no_table_is_named(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "run.json").write_text('{"cells": [], "precision": ["bf16"]}')
    refused = run(finished, out, tmp_path / "cache", "--dry-run")
    assert refused.exit_code == 2
    assert "run.json is damaged: precision is no table" in refused.output


def test_a_precision_that_there_is_not_is_answered_with_those_there_are() -> None:
    with pytest.raises(UserError, match=r"precision' = 'fp16': .*'fp32', 'bf16' or 'auto'"):
        runs.resolved(student__recipe__precision="fp16")
