"""``bench run`` as a user meets it: plan, output, default places, the way to a report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.cli.main import main
from bench.records.store import Store
from reaugkd import __version__
from tests.bench import runs


def test_a_dry_run_counts_and_writes_nothing(tmp_path: Path) -> None:
    done = runs.run(tmp_path, "--dry-run", "--seeds", "0,1", "--tasks", "follows,tone")
    assert done.exit_code == 0
    assert "20 cells (12 training, 8 retrieval), 0 there already, 20 left" in done.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.toml"]


def test_the_default_is_the_embedded_suite_with_every_backend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = runs.bench("run", "--dry-run")
    assert done.exit_code == 0
    for name in ("tone", "follows", "alike", "finetune", "kd", "hnswlib", "faiss", "annoy"):
        assert name in done.output
    assert list(tmp_path.iterdir()) == []


def test_the_same_settings_have_the_same_default_folder_others_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def folder(*flags: str) -> str:
        done = runs.bench("run", "--dry-run", "--tasks", "tone", "--ann", "exact", *flags)
        found = re.search(r"plan of (results/runs/mini-\w+)", done.output)
        assert found, done.output
        return found[1]

    assert folder("--methods", "kd", "--limit", "400") == folder(
        "--limit", "400", "--methods", "KD"
    )
    assert folder("--limit", "400") != folder("--limit", "401")
    assert folder("--cache", str(tmp_path / "a")) == folder()


def test_the_cache_may_come_from_the_environment(finished: Path, tmp_path: Path) -> None:
    flags = runs.arguments(tmp_path, "--methods", "finetune")
    at = flags.index("--cache")
    environment = {"REAUGKD_CACHE": str(tmp_path / "mine")}
    done = CliRunner(env=environment).invoke(main, flags[:at] + flags[at + 2 :])
    assert done.exit_code == 0
    assert list((tmp_path / "mine" / "student").iterdir())


def test_output_in_a_pipe_is_plain_and_names_every_cell(finished: Path, tmp_path: Path) -> None:
    done = runs.run(finished, "--out", tmp_path, "--cache", tmp_path / "cache")
    assert done.exit_code == 0
    assert "\x1b" not in done.output
    cells = [line for line in done.output.splitlines() if re.match(r"\[\d/5.*?\] ok ", line)]
    assert [line[:4] for line in cells] == [f"[{n}/5" for n in range(1, 6)]
    left = [re.match(r"\[\d/5(, (about|over) \d+:\d\d left)?\] ", line) for line in cells]
    words = [one[2] for one in left if one]  # before a kind of cell has ended, nothing is known
    assert words == ["over", "over", None, "about", None]
    assert re.search(r"follows reaugkd .* hnswlib .*-> 0\.\d{4} \(k \d", cells[-1])
    scores = [n for n, line in enumerate(done.output.splitlines()) if "teacher, held_out" in line]
    distilled = [n for n, line in enumerate(done.output.splitlines()) if "kd seed 0: epoch" in line]
    assert scores[0] < distilled[0]  # the teacher's scores come before any distillation
    assert re.search(r"examples in .* s \(\d+/s\) soft \d.* hard \d.* relation \d", done.output)
    assert done.output.splitlines()[-1] == f"bench report {tmp_path}"


def test_a_run_keeps_its_plan_and_its_settings(finished: Path) -> None:
    run = Store(finished / "out").read_run()
    assert run["preset"] == "mini"
    assert run["config"]["data"]["limit"] == 800
    assert len(run["cells"]) == 5
    assert {cell["key"] for cell in run["cells"]} == {
        record.key for record in runs.records(finished / "out").values()
    }


def test_a_finished_run_has_a_report(finished: Path, tmp_path: Path) -> None:
    done = runs.bench("report", finished / "out", "--out", tmp_path)
    assert done.exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} >= {
        "report.md",
        "results.csv",
        "results.json",
    }
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "not GLUE" in text
    assert __version__ in text
    json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    for name in ("finetune", "kd", "reaugkd", "exact", "hnswlib"):
        assert name in text


def test_names_are_shown_as_they_are_and_never_read_as_markup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    variant = tmp_path / "variant.toml"
    names = {"kd[t=4]": 4.0, "kd :fire:": 5.0}
    made = (
        f'[variant."{name}"]\nmethod = "kd"\n[variant."{name}".settings]\ntemperature = {value}\n'
        for name, value in names.items()
    )
    variant.write_text("".join(made), encoding="utf-8")
    methods = ("--config", variant, "--methods", ",".join(names), "--ann", "exact")
    done = runs.run(tmp_path, "--dry-run", *methods, "--out", "r[/x] :fire:")
    assert done.exit_code == 0, done.output
    for name in (*names, "plan of r[/x] :fire:"):
        assert name in done.output


def test_a_merged_run_is_not_taken_over(tmp_path: Path) -> None:
    plan = {"cells": [], "merged": [{"folder": "elsewhere"}]}
    (tmp_path / "all").mkdir()
    Store(tmp_path / "all").write_run(plan)
    for more in ((), ("--dry-run",), ("--cells", tmp_path / "files")):
        done = runs.run(tmp_path, "--out", tmp_path / "all", *more)
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
        assert "is a merged run: name another folder" in done.stderr
    assert Store(tmp_path / "all").read_run() == plan
    (tmp_path / "all" / "run.json").write_text("{")  # a damaged plan is mended by a new one
    assert runs.run(tmp_path, "--out", tmp_path / "all", "--dry-run").exit_code == 0
