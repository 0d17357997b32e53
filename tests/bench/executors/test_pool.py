"""Running cells: what is left, what fails, who runs them; the records are the same."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from shutil import copytree, ignore_patterns
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from bench.cell import Cell
from bench.cli.cell import cell as cell_command
from bench.executors import pool
from bench.executors.groups import by_turns, groups
from bench.records.run import comparable
from bench.records.store import Store
from reaugkd.method import ReAugKD
from tests.bench import runs


def broken(*_: Any, **__: Any) -> NoReturn:
    raise ZeroDivisionError("ours")


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "cells").iterdir()}


def test_a_finished_run_is_all_ok_and_says_so(finished: Path) -> None:
    assert set(runs.statuses(finished / "out").values()) == {"ok"}
    again = runs.run(finished)
    assert again.exit_code == 0
    assert "5 cells (3 training, 2 retrieval), 5 there already, 0 left" in again.output
    assert f"{finished / 'out'}: 5 ok" in again.output


def test_cells_on_one_student_go_together(tmp_path: Path) -> None:
    made = groups(runs.plan(tmp_path, seeds=[0, 1]))
    assert [len(group) for group in made] == [1, 1, 1, 1, 3, 3]
    for group in made:
        assert len({p.needs or p.key for p in group}) == 1


def test_workers_begin_with_different_teachers_and_keep_the_order_within_a_task(
    tmp_path: Path,
) -> None:
    tone, alike = (
        [[cell.model_copy(update={"task": task}) for cell in group] for group in made]
        for made in [groups(runs.plan(tmp_path, seeds=[0]))]
        for task in ("tone", "alike")
    )
    assert by_turns([*tone, *alike[:1]]) == [tone[0], alike[0], *tone[1:]]


def test_the_pool_hands_groups_out_by_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[str] = []

    class Handed:
        def __init__(self, *_: object) -> None: ...
        def __enter__(self) -> Handed:
            return self

        def __exit__(self, *_: object) -> None: ...

        def submit(self, _: object, group: list[Cell], __: Path) -> Future[None]:
            handed.append(group[0].task)
            future: Future[None] = Future()
            future.set_result(None)
            return future

    monkeypatch.setattr(pool, "ProcessPoolExecutor", Handed)
    cells = runs.plan(tmp_path, tasks=["follows", "alike"], seeds=[0])
    view: Any = SimpleNamespace(lines=True)
    at = (tmp_path, Store(tmp_path), "test")
    pool.run_in_pool(cells, *at, lambda *_: None, workers=2, threads=1, view=view)
    assert handed == ["follows", "alike"] * 3


FRESH = ("--set", "student.recipe.batch_size=16")  # students of its own


@pytest.mark.slow
def test_a_failure_is_named_the_rest_goes_on_and_the_same_command_redoes_just_that(
    finished: Path, tmp_path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reaugkd.method.ReAugKD.loss", broken)
        done = runs.run(tmp_path, *FRESH)
    out = tmp_path / "out"
    found = runs.records(out)
    assert {name: one.status for name, one in found.items()} == {
        "finetune": "ok",
        "kd": "ok",
        "reaugkd": "failed",
        "reaugkd exact projected soft": "skipped",
        "reaugkd hnswlib projected soft": "skipped",
    }
    assert found["reaugkd"].reason == "ZeroDivisionError: ours"
    assert "in broken" in (found["reaugkd"].traceback or "")
    assert found["reaugkd"].training is None
    reason = "its student failed: ZeroDivisionError: ours"
    assert found["reaugkd exact projected soft"].reason == reason
    assert done.exit_code == 1
    assert f"{out}: 2 ok, 1 failed, 2 skipped" in done.output
    assert "\n  follows reaugkd seed 0: ZeroDivisionError: ours\n" in done.output
    assert "Traceback" not in done.output

    before = contents(out)
    never = runs.run(tmp_path, *FRESH, "--overwrite", "never")
    assert (never.exit_code, contents(out)) == (1, before)
    assert "5 there already, 0 left" in never.output
    again = runs.run(tmp_path, *FRESH)
    assert again.exit_code == 0
    assert "2 there already, 3 left" in again.output
    after = contents(out)
    assert len([name for name in before if before[name] == after[name]]) == 4  # with their arrays

    always = runs.run(tmp_path, *FRESH, "--out", out, "--overwrite", "always")
    assert always.exit_code == 0
    assert "0 there already, 5 left" in always.output
    assert not [n for n in after if n.endswith(".json") and contents(out)[n] == after[n]]
    whole = runs.run(tmp_path, *FRESH, "--out", tmp_path / "whole", "--cache", tmp_path / "other")
    assert whole.exit_code == 0
    assert runs.results(tmp_path / "whole") == runs.results(out)


def test_what_a_method_cannot_do_is_skipped_openly_and_no_failure(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("baselines.kd.KD.unsupported", lambda *_: "not for this task")
    done = runs.run(finished, "--out", tmp_path / "out", "--methods", "finetune,kd")
    assert done.exit_code == 0
    found = runs.records(tmp_path / "out")["kd"]
    assert (found.status, found.reason) == ("skipped", "not for this task")
    assert "1 ok, 1 skipped" in done.output


def test_a_teacher_below_the_floor_teaches_nothing(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    margin = ("--set", "teacher.floor_margin=0.9", "--set", "student.recipe.batch_size=17")
    monkeypatch.setattr("reaugkd.training.inference.write_signals", broken)
    done = runs.run(finished, "--out", tmp_path / "out", "--cache", tmp_path / "cache", *margin)
    assert done.exit_code == 1
    found = runs.records(tmp_path / "out")
    assert found["finetune"].status == "ok"
    for name in ("kd", "reaugkd"):
        assert found[name].status == "failed"
        assert "the floor is" in str(found[name].reason)
        # Said again for the second cell, without the first one's way to it.
        assert str(found[name].traceback).count("in _training") == 1
    assert found["reaugkd exact projected soft"].status == "skipped"
    line = next(line for line in done.output.splitlines() if line.startswith("  follows kd"))
    assert "the teacher reaches accuracy" in line
    assert "margin 0.9" in line
    assert not list((tmp_path / "cache").glob("signals/*/manifest.json"))


@pytest.mark.slow
def test_a_pool_of_processes_leaves_the_same_records(finished: Path, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    done = runs.run(tmp_path, "--max-workers", 2, "--threads", threads)
    assert done.exit_code == 0, done.output
    assert runs.results(tmp_path / "out") == runs.results(finished / "out")
    assert {one.provenance.threads for one in runs.records(tmp_path / "out").values()} == {threads}


class DeadPool:
    """Stands for a pool whose worker the system has killed."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __enter__(self) -> DeadPool:
        return self

    def __exit__(self, *_: object) -> None: ...

    def submit(self, *_: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(BrokenProcessPool("terminated abruptly"))
        return future


def test_a_worker_that_dies_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.executors.pool.ProcessPoolExecutor", DeadPool)
    done = runs.run(tmp_path, "--max-workers", 2)
    assert done.exit_code == 2
    assert done.stderr.startswith("error: a worker was killed")
    assert "the same command resumes" in done.stderr


@pytest.mark.parametrize(("value", "word"), [(0.0, "zero"), (np.nan, "NaN")])
def test_embeddings_without_a_direction_fail_their_cells_and_name_the_row(
    value: float, word: str, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = ReAugKD.project

    def spoilt(method: ReAugKD, embedding: Any) -> Any:
        keys = project(method, embedding).copy()
        keys[7] = value
        return keys

    monkeypatch.setattr(ReAugKD, "project", spoilt)
    copytree(finished / "cache", tmp_path / "cache", ignore=ignore_patterns("knowledge-base"))
    done = runs.run(tmp_path, "--methods", "reaugkd")
    assert done.exit_code == 1
    found = runs.records(tmp_path / "out")
    assert found["reaugkd"].status == "ok"
    for backend in ("exact", "hnswlib"):
        reason = str(found[f"reaugkd {backend} projected soft"].reason)
        assert word.lower() in reason.lower()
        assert "7" in reason


@pytest.mark.slow
def test_a_written_cell_runs_anywhere_with_the_same_record(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cells"
    done = runs.run(tmp_path, "--dry-run", "--cells", folder, "--threads", torch.get_num_threads())
    assert done.exit_code == 0
    assert not (tmp_path / "cache").exists()
    assert len(list(folder.iterdir())) == 5
    assert len(Store(tmp_path / "out").read_run()["cells"]) == 5  # for the report
    expected = runs.records(finished / "out")["reaugkd hnswlib projected soft"]
    place = ["--store", str(tmp_path / "store"), "--cache", str(tmp_path / "cache")]
    ran = subprocess.run(
        [sys.executable, "-m", "bench.cell", str(folder / f"{expected.key}.json"), *place],
        env=runs.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip().endswith(f"ok: {expected.key}")
    found, problems = Store(tmp_path / "store").records()
    assert problems == []
    assert [comparable(one) for one in found] == [comparable(expected)]


def ran(folder: Path, text: str, cache: Path) -> Result:
    """``python -m bench.cell`` of a file with ``text``."""
    (folder / "cell.json").write_text(text)
    words = [folder / "cell.json", "--store", folder / "store", "--cache", cache]
    return CliRunner().invoke(cell_command, [*map(str, words)])


def test_a_cell_whose_data_changed_since_the_plan_is_refused(
    finished: Path, tmp_path: Path
) -> None:
    """Its record would be filed under the key of other rows."""
    cell = runs.plan(finished / "cache", methods=["finetune"])[0]
    data = cell.config.data.model_copy(update={"limit": 700})
    moved = cell.model_copy(update={"config": cell.config.model_copy(update={"data": data})})
    done = ran(tmp_path, moved.model_dump_json(), finished / "cache")
    assert done.exit_code == 1
    assert done.output.endswith("not what was planned any more: data; plan again\n")


def test_a_student_from_the_cache_carries_the_provenance_of_its_training(
    finished: Path, tmp_path: Path
) -> None:
    done = runs.run(finished, "--out", tmp_path, "--methods", "kd,reaugkd", "--ann", "exact")
    assert done.exit_code == 0
    trained, found = runs.records(finished / "out"), runs.records(tmp_path)
    assert found["kd"].provenance == trained["kd"].provenance
    name = "reaugkd exact projected soft"
    assert found[name].provenance.time >= trained[name].provenance.time  # searched just now


def test_a_cell_keeps_to_its_threads(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    planned = runs.plan(finished / "cache", threads=3, methods=["finetune"])
    assert ran(tmp_path, planned[0].model_dump_json(), finished / "cache").exit_code == 0
    assert asked == [3]


@pytest.mark.parametrize("text", ["", "{}", "[1]", json.dumps({"kind": "training"})])
def test_a_file_that_holds_no_cell_is_told(text: str, tmp_path: Path) -> None:
    done = ran(tmp_path, text, tmp_path / "cache")
    assert done.exit_code == 1
    assert "cell.json holds no cell" in done.stderr
